"""Metric catalogues: what a class defines is what a process exposes."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from secondlook.common.metrics import Catalogue, counter, gauge, histogram
from secondlook.common.observability import BusMetrics, Health, StreamFamily
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.router.metrics import RouterMetrics
from secondlook.trainer.metrics import TrainerMetrics


class Shop(Catalogue):
    """A catalogue with a metric of each kind."""

    sold = counter("shop_sold", "Items sold", "kind", "colour")
    waiting = gauge("shop_waiting", "Customers in the queue")
    seconds = histogram("shop_seconds", "Seconds to serve a customer", buckets=(1.0, 60.0))


def test_an_instance_has_the_objects_and_the_class_their_definitions() -> None:
    registry = CollectorRegistry()
    shop = Shop(registry)
    shop.sold.labels("book", "red").inc(2)
    shop.waiting.set(3)
    shop.seconds.observe(30)
    assert [metric.exposed_name for metric in Shop.definitions()] == ["shop_sold_total", "shop_waiting", "shop_seconds"]
    assert Shop.sold.labels == ("kind", "colour")
    assert registry.get_sample_value("shop_sold_total", {"kind": "book", "colour": "red"}) == 2
    assert registry.get_sample_value("shop_waiting") == 3
    assert registry.get_sample_value("shop_seconds_bucket", {"le": "60.0"}) == 1


def test_two_instances_count_for_themselves() -> None:
    one, other = CollectorRegistry(), CollectorRegistry()
    Shop(one).waiting.set(1)
    Shop(other)
    assert (one.get_sample_value("shop_waiting"), other.get_sample_value("shop_waiting")) == (1, 0)


@pytest.mark.parametrize("catalogue", [RouterMetrics, ReviewerMetrics, TrainerMetrics])
def test_a_service_exposes_its_catalogue_beside_the_common_ones(catalogue: type[Catalogue]) -> None:
    registry, health = CollectorRegistry(), Health()
    for made in (catalogue(registry), StreamFamily(registry, health), BusMetrics(registry, health)):
        exposed = generate_latest(registry).decode()
        for metric in made.definitions():
            assert f"# TYPE {metric.exposed_name} {metric.kind.__name__.lower()}\n" in exposed
            assert metric.name.startswith("secondlook_")
