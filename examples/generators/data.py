"""Make up data: tables and JSON documents."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import date, timedelta

GOODS = ("coal", "grain", "timber", "steel", "mail", "machine parts")
STATIONS = ("Köln", "Zürich", "Málaga", "Łódź", "Århus", "Brno", "Gent", "Porto")
WESTERN_STATIONS = ("Köln", "Zürich", "Málaga", "Århus", "Évry", "Gent", "Porto")
FIRST_DAY = date(2023, 1, 1)


def consignments_csv(rows: int) -> bytes:
    """Return a table of goods on rails, with a header, separated by commas, in UTF-8."""
    lot = random.Random(rows)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("consignment", "date", "from", "to", "goods", "tonnes", "fragile", "remark"))
    for number in range(1, rows + 1):
        day = FIRST_DAY + timedelta(days=lot.randrange(700))
        origin, destination = lot.sample(STATIONS, 2)
        tonnes = f"{lot.uniform(0.5, 80):.2f}" if lot.random() > 0.02 else ""
        remark = 'marked "this side up", twice' if lot.random() < 0.05 else ""
        fragile = lot.choice(("yes", "no"))
        table.writerow((number, day, origin, destination, lot.choice(GOODS), tonnes, fragile, remark))
    return text.getvalue().encode()


def stations_csv() -> bytes:
    """Return a small table as a spreadsheet of Western Europe writes it: semicolons, in Windows-1252."""
    lot = random.Random(3)
    rows = [f"{station};{lot.randint(2, 30)};{lot.uniform(1, 400):.1f}" for station in WESTERN_STATIONS]
    return "\r\n".join(["station;tracks;altitude", *rows, ""]).encode("cp1252")


def measurements_tsv(rows: int) -> bytes:
    """Return a table without a header, separated by tabulators."""
    lot = random.Random(rows)
    return "".join(f"{second}\t{lot.gauss(20, 3):.3f}\t{lot.random():.4f}\n" for second in range(rows)).encode()


def timetable_json(trains: int) -> bytes:
    """Return a document of trains with their stops."""
    lot = random.Random(trains)
    timetable = [
        {
            "train": f"IC {100 + number}",
            "daily": lot.random() > 0.3,
            "operator": lot.choice(("North", "South", None)),
            "stops": [
                {"station": station, "minute": lot.randrange(60), "platform": lot.randint(1, 12)}
                for station in lot.sample(STATIONS, lot.randint(2, len(STATIONS)))
            ],
        }
        for number in range(trains)
    ]
    return json.dumps({"valid_from": "2024-12-15", "trains": timetable}, indent=1, ensure_ascii=False).encode()


def layout_json() -> bytes:
    """Return a document of numbers in arrays of arrays."""
    lot = random.Random(9)
    return json.dumps([[[lot.random() for _ in range(3)] for _ in range(20)] for _ in range(100)]).encode()
