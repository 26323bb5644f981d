"""Queries on tables run by the peers: DuckDB, Polars.

usage: table_peers.py ENGINE DATA QUERIES.json REPEATS   (engines: duckdb polars)
prints one JSON line: queries (each {"Ok": {"timing": {"seconds": [...], "value": v}, "cpu_seconds": c}} or {"Err": why}),
peak_bytes. Files are read in each run, and each query runs once before the clock starts.
"""
import json, os, resource, sys, time

THREADS = 2


def cpu():
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def value(table):
    """The sum of all numbers in an Arrow table, and of its rows."""
    import pyarrow as pa, pyarrow.compute as pc
    total = float(table.num_rows)
    for column in table.columns:
        t = column.type
        if pa.types.is_integer(t) or pa.types.is_floating(t) or pa.types.is_decimal(t):
            total += pc.sum(column.cast(pa.float64(), safe=False)).as_py() or 0.0
    return total


def path(data, within, table):
    return os.path.join(data, within, table + (".csv" if table.endswith("_csv") else ".parquet"))


def duckdb_engine(data):
    import duckdb
    con = duckdb.connect(config={"threads": THREADS})

    def ask(sql, within, tables):
        for t in tables:
            con.execute(f"create or replace view {t} as select * from '{path(data, within, t)}'")
        return con.sql(sql).to_arrow_table()
    return ask


def polars_engine(data):
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    import polars as pl

    def ask(sql, within, tables):
        scan = lambda t: (pl.scan_csv if t.endswith("_csv") else pl.scan_parquet)(path(data, within, t))
        with pl.SQLContext({t: scan(t) for t in tables}) as context:
            return context.execute(sql).collect(engine="streaming").to_arrow()
    return ask


def main():
    engine, data, queries, repeats = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    ask = {"duckdb": duckdb_engine, "polars": polars_engine}[engine](data)
    answers = []
    for name, sql, within, tables in json.load(open(queries)):
        try:
            v = value(ask(sql, within, tables))
            seconds, spent = [], cpu()
            for _ in range(repeats):
                t = time.perf_counter()
                v = value(ask(sql, within, tables))
                seconds.append(time.perf_counter() - t)
            spent = (cpu() - spent) / repeats
            answers.append({"Ok": {"timing": {"seconds": seconds, "value": v}, "cpu_seconds": spent}})
        except Exception as e:
            answers.append({"Err": f"{type(e).__name__}: {e}"[:300].replace("\n", " ")})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"queries": answers, "peak_bytes": peak}), flush=True)


main()
