"""The packages of the wheel: what lies under `services/` is installed as `secondlook`."""

from setuptools import find_packages, setup

setup(packages=["secondlook", *(f"secondlook.{name}" for name in find_packages("services"))])
