"""Arrays larger than memory in Dask: the bench `beyond`, said in `dask.array`.

    python beyond_peers.py [--n 14000] [--chunk 1000] [--limit 256] [--workloads centre,...] [--timeout 300]

Two worker processes of one thread on this machine, each with `--limit` MiB (0 for as much as there is), as Tilework's
`processes:2`. Each workload runs in a cluster of its own. Prints a CSV line for each: seconds, the peak of the worker that
took most, bytes on the disks of all workers at the most, and why there is no result.
"""

import argparse
import csv
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time

DAYS = 365


def made(da, n, chunk, seed):
    rng = da.random.RandomState(seed)
    return da.sqrt(rng.uniform(size=(n, n), chunks=chunk))


def step(block):
    out = block.copy()
    out[1:-1, 1:-1] = block[1:-1, 1:-1] * 0.5 + block[:-2, 1:-1] * 0.25 + block[2:, 1:-1] * 0.25
    return out


def workload(name, args, da, np):
    n, chunk = args.n, args.chunk
    if name == "centre":
        x = da.from_zarr(args.store)
        return (x - x.mean(axis=0)).std(axis=0)
    if name == "climatology":
        years = n // DAYS
        x = da.from_zarr(args.store)[: years * DAYS].reshape((years, DAYS, n))
        return (x - x.mean(axis=0)).std(axis=0).sum(axis=0)
    if name == "minmax":
        x = made(da, n, chunk, 1)
        low, high = x.min(axis=0), x.max(axis=0)
        return ((x - low) / (high - low)).std(axis=0)
    if name == "transpose":
        x = made(da, n, chunk, 1)
        return (x + x.T).std(axis=0)
    if name == "rechunk":
        strip = max(1, chunk * chunk // n)
        rows = da.sqrt(da.random.RandomState(1).uniform(size=(n, n), chunks=(strip, n)))
        return da.exp(rows.rechunk((n, strip))).sum(axis=0)
    if name == "persist":
        from dask.distributed import wait

        kept = made(da, n, chunk, 1).persist()
        wait(kept)
        kept.sum(axis=1).compute()
        return kept.sum(axis=0)
    if name == "stencil":
        x = made(da, n, chunk, 1)
        for _ in range(4):
            x = x.map_overlap(step, depth=1, boundary="periodic", dtype=x.dtype)
        return x.sum(axis=0)
    if name == "product":
        n = n * 4 // 7
        return made(da, n, chunk, 1).dot(made(da, n, chunk, 2)).sum(axis=0)
    sys.exit(f"no workload {name}")


class Watch(threading.Thread):
    """Peaks of memory and of what is on the disk, of all children that are workers."""

    def __init__(self, pids, spill):
        super().__init__(daemon=True)
        self.pids, self.spill, self.peak, self.disk, self.ended = pids, spill, 0, 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            for pid in self.pids():
                try:
                    status = open(f"/proc/{pid}/status").read()
                    self.peak = max(self.peak, int(status.split("VmHWM:")[1].split()[0]) * 1024)
                except (OSError, IndexError):
                    pass
            total = 0
            for place, _, files in os.walk(self.spill):
                for file in files:
                    try:
                        total += os.path.getsize(os.path.join(place, file))
                    except OSError:
                        pass
            self.disk = max(self.disk, total)


def measure(name, args, out):
    import dask
    import dask.array as da
    import numpy as np
    from dask.distributed import Client, LocalCluster

    spill = tempfile.mkdtemp(prefix="beyond-dask-")
    try:
        with dask.config.set({"temporary-directory": spill, "distributed.scheduler.allowed-failures": 3}):
            limit = args.limit * 1024 * 1024 if args.limit else 0
            with LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, memory_limit=limit, dashboard_address=None
            ) as cluster, Client(cluster) as client:
                watch = Watch(lambda: [w.pid for w in list(cluster.workers.values()) if w.pid], spill)
                watch.start()
                begun = time.perf_counter()
                result = workload(name, args, da, np).compute()
                seconds = time.perf_counter() - begun
                watch.ended.set()
                watch.join()
                out.send((seconds, watch.peak, watch.disk, float(np.sum(result)), ""))
    except Exception as error:  # whatever it is, it is the answer
        out.send((None, None, None, None, f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"))
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=14000)
    parser.add_argument("--chunk", type=int, default=1000)
    parser.add_argument("--limit", type=int, default=256)
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument(
        "--workloads", default="centre,climatology,minmax,transpose,rechunk,persist,stencil,product"
    )
    args = parser.parse_args()
    place = tempfile.mkdtemp(prefix="beyond-store-")
    args.store = os.path.join(place, "x.zarr")
    try:
        import dask.array as da

        names = args.workloads.split(",")
        if {"centre", "climatology"} & set(names):
            import zarr

            shape, chunks = (args.n, args.n), (args.chunk, args.chunk)
            store = zarr.create_array(args.store, shape=shape, chunks=chunks, dtype="f8", compressors=None)
            da.random.RandomState(7).uniform(size=shape, chunks=chunks).store(store)
        lines = csv.writer(sys.stdout)
        lines.writerow(["workload", "limit_mib", "s", "peak_bytes", "spilled_bytes", "error"])
        context = multiprocessing.get_context("spawn")
        for name in names:
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(target=measure, args=(name, args, theirs))
            process.start()
            if mine.poll(args.timeout):
                seconds, peak, disk, _, error = mine.recv()
            else:
                seconds, peak, disk, error = None, None, None, f"no result within {args.timeout:.0f} s"
                import psutil

                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()
            process.join()
            lines.writerow([name, args.limit, seconds and f"{seconds:.2f}", peak, disk, error])
            sys.stdout.flush()
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
