import asyncio, time
from services.common.api_keys import Caller
from services.reviewer_api.review import repository as r
from services.reviewer_api.review.tasks import Verdict
from tests.integration.test_review_world import World
async def test_perf(database_url):
    async with World.open(database_url) as w:
        p=w.database.pool
        await p.execute("""INSERT INTO task (task_id, source, content_id, revision, sequence, decision_id, routed_queue, queue, priority, state, available_at, created_at)
          SELECT gen_random_uuid(),'forum',n::text,1,1024,gen_random_uuid(),q,q,n%5,'pending','2026-01-01','2026-01-01'::timestamptz - n * interval '1 second' FROM (SELECT n, CASE WHEN n%1000=0 THEN 'photos' ELSE 'default' END q FROM generate_series(1,200000) n) s""")
        await p.execute("""INSERT INTO task_payload (task_id,why,content,u,inclusion_probability,stratum,scores) SELECT task_id,'uncertain',json_build_object('source','forum','content_id',content_id,'revision',1,'text','hello','created_at','2026-01-01T00:00:00Z'),0.5,0.5,'x','{"spam":0.4}' FROM task""")
        sv=w.api.reviews
        async def one(i, queue=None, n=10):
            c=Caller(f'r{i%50}','reviewer'); t=time.perf_counter()
            got=await sv.claim(c,n,queue); return time.perf_counter()-t, got, c
        for label in ('no analyze','analyzed'):
            print('\n'.join(x[0] for x in await p.fetch('EXPLAIN (ANALYZE, BUFFERS) '+r.CLAIM_FROM_ONE, w.clock.now(),'zz',10,w.clock.now(),False,'default')))
            print('\n'.join(x[0] for x in await p.fetch('EXPLAIN (ANALYZE, BUFFERS) '+r.CLAIM_FROM_ALL, w.clock.now(),'zz',10,w.clock.now(),False,['leads'])))
            for q in (None,'photos','default'):
                ts=[(await one(i,q))[0] for i in range(20)]
                print(label,q,f'{sorted(ts)[10]*1e3:.1f} ms max {max(ts)*1e3:.1f}')
            await p.execute('ANALYZE')
        t=time.perf_counter(); tot=0
        async def worker(k):
            nonlocal tot
            for i in range(20):
                _,got,c=await one(k,None,5)
                for x in got.tasks:
                    await sv.decide(x.task_id,x.lease_token,c,Verdict('reject',frozenset({'spam'}))); tot+=1
        await asyncio.gather(*[worker(k) for k in range(16)])
        d=time.perf_counter()-t; print(f'{tot/d:.0f} decisions/s')
        w.clock.turn(10); t=time.perf_counter(); n=await w.api.publisher.publish_due(); print(n, f'{n/(time.perf_counter()-t):.0f} published/s')
        t=time.perf_counter(); await w.api.queues.all(); print(f'queues {1e3*(time.perf_counter()-t):.0f} ms')
        pass
