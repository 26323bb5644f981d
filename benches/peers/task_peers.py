"""What a task that does nothing costs elsewhere: the bench `tasks`, said in Dask and Ray.

    python task_peers.py dask [CALLS] [TURNS]
    python task_peers.py ray [CALLS] [TURNS]

Two workers of one thread on this machine. Prints one JSON line: calls a second until all values exist and until all are
here, and the round trip of one call in microseconds; medians of three, after a warm-up.
"""

import json
import statistics
import sys
import time


def measure(batch, here, turn, calls, turns):
    batch(1000)
    made, gathered, trips = [], [], []
    for _ in range(3):
        begun = time.perf_counter()
        values = batch(calls)
        made.append(time.perf_counter() - begun)
        found = here(values)
        gathered.append(time.perf_counter() - begun)
        assert sum(found) == calls * (calls - 1) // 2
        begun = time.perf_counter()
        for i in range(turns):
            assert turn(i) == i
        trips.append((time.perf_counter() - begun) / turns)
    return statistics.median(made), statistics.median(gathered), statistics.median(trips)


def in_dask(calls, turns):
    from dask.distributed import Client, LocalCluster, wait

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            same = lambda x: x

            def batch(n):
                # `pure=False`: each has a key of its own, so that nothing is taken from an earlier run.
                futures = client.map(same, range(n), pure=False)
                wait(futures)
                return futures

            return measure(batch, client.gather, lambda i: client.submit(same, i, pure=False).result(), calls, turns)


def in_ray(calls, turns):
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)

    @ray.remote
    def same(x):
        return x

    def batch(n):
        refs = [same.remote(i) for i in range(n)]
        ray.wait(refs, num_returns=len(refs), fetch_local=False)
        return refs

    return measure(batch, ray.get, lambda i: ray.get(same.remote(i)), calls, turns)


if __name__ == "__main__":
    engine = sys.argv[1]
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    turns = int(sys.argv[3]) if len(sys.argv) > 3 else 1_000
    made, gathered, trip = {"dask": in_dask, "ray": in_ray}[engine](calls, turns)
    print(
        json.dumps(
            {
                "engine": engine,
                "calls": calls,
                "made_s": round(made, 3),
                "gathered_s": round(gathered, 3),
                "calls_per_s": round(calls / made),
                "round_trip_us": round(trip * 1e6),
            }
        )
    )
