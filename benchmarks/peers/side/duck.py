"""Does one piece of work in DuckDB, and says what that took: the start of the
interpreter and of the database are left out, as are those of the others."""

import json
import os
import resource
import sys
import time

import duckdb

TEXT = "read_csv('{input}/in-*', header=false, columns={{'line': 'VARCHAR'}}, delim='\\x01', quote='', escape='', auto_detect=false)"
ROWS = "read_csv('{input}/in-*', header=false, columns={{'k': 'VARCHAR', 'n': 'BIGINT'}}, delim='\\t', quote='', escape='', auto_detect=false)"

QUERIES = {
    "wordcount": "SELECT w, count(*) FROM (SELECT unnest(string_split(line, ' ')) AS w FROM " + TEXT + ") WHERE w <> '' GROUP BY w",
    "sort": "SELECT line FROM " + TEXT + " ORDER BY line",
    "groupby": "SELECT k, sum(n) FROM " + ROWS + " GROUP BY k",
}


def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    work = json.load(sys.stdin)
    db = duckdb.connect()
    db.execute("SET enable_progress_bar = false")
    db.execute(f"SET threads = {work['cores']}")
    db.execute("SET temp_directory = '" + work["dir"] + "/duckdb'")
    db.execute("SET preserve_insertion_order = " + ("true" if work["kind"] == "sort" else "false"))
    if work.get("memory"):
        db.execute(f"SET memory_limit = '{work['memory'] >> 20}MiB'")
    os.makedirs(work["output"], exist_ok=True)
    query = QUERIES[work["kind"]].format(input=work["input"])
    query = f"COPY ({query}) TO '{work['output']}/out.txt' (FORMAT csv, HEADER false, DELIMITER '\\t', QUOTE '')".replace("\\t", "\t").replace("\\x01", "\x01")
    cpu, began = used(), time.monotonic()
    db.execute(query)
    seconds, cpu = time.monotonic() - began, used() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    json.dump({"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak}, sys.stdout)


main()
