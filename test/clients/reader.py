"""Reads the mirror as a notebook does: SQLAlchemy's reflection first, then pandas. Prints one JSON document.

python3 reader.py URL TABLE QUERY...
"""

import datetime
import decimal
import json
import sys

import pandas
import sqlalchemy

url, table, *queries = sys.argv[1:]
engine = sqlalchemy.create_engine(url)
inspector = sqlalchemy.inspect(engine)


def cell(value):
    if value is None or value is pandas.NaT or value is pandas.NA:
        return None
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
        return moment.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float) and value == int(value):
        return str(int(value))  # pandas turns whole numbers with gaps into floats
    return str(value)


def run(query):
    # Through SQLAlchemy's text, so that a colon or a per cent sign of the query means itself.
    frame = pandas.read_sql_query(sqlalchemy.text(query), engine, coerce_float=False)
    return [[cell(value) for value in row] for row in frame.astype(object).itertuples(index=False)]


reflected = sqlalchemy.Table(table, sqlalchemy.MetaData(), schema="flowlu_live", autoload_with=engine)
print(
    json.dumps(
        {
            "schemas": inspector.get_schema_names(),
            "views": [
                f"{schema}.{name}"
                for schema in ("flowlu_live", "flowlu_reports", "flowlu_history")
                for name in inspector.get_view_names(schema=schema)
            ],
            "columns": [[c.name, str(c.type), c.comment] for c in reflected.columns],
            "queries": [run(query) for query in queries],
        }
    )
)
