"""Starts bqemulator (arguments as of its command line) with what version 1.4.0 gets wrong about numbers put right.

Isolated here, so that neither Millrace nor the dbt project knows of it:

1. NUMERIC is DECIMAL(38, 9); it became DuckDB's DECIMAL, which has three digits after the point.
2. CREATE TABLE t (columns) AS (SELECT …), as dbt writes it for an enforced contract, was only understood without the
   brackets around the query.
3. BigQuery refuses CAST(x AS NUMERIC(5, 2)): parameters belong to columns. It was accepted, and is what DuckDB and
   Postgres want, so it would only be found in production.
"""
import sys

from bqemulator.cli import main
from bqemulator.domain.result import Err
from bqemulator.sql import translator
from bqemulator.sql.errors import sql_parse_error
from bqemulator.sql.rewriter import create_table_schema_ctas
import sqlglot
from sqlglot import exp
from sqlglot.generators.duckdb import DuckDBGenerator


def numeric_has_nine_digits():
    written = DuckDBGenerator.datatype_sql

    def datatype_sql(self, expression):
        is_bare = expression.this == exp.DataType.Type.DECIMAL and not expression.expressions
        return "DECIMAL(38, 9)" if is_bare else written(self, expression)

    DuckDBGenerator.datatype_sql = datatype_sql


def bracketed_queries_have_columns():
    inner = create_table_schema_ctas._first_select

    def first_select(body):
        return inner(body.unnest() if isinstance(body, exp.Subquery) else body)

    create_table_schema_ctas._first_select = first_select


def casts_take_no_parameters():
    translate = translator.SQLTranslator.translate

    def strict(self, bq_sql, **options):
        if any(cast.to.expressions and not cast.to.args.get("nested") for cast in casts_in(bq_sql)):
            return Err(sql_parse_error("Parameterized types are not allowed in CAST expressions."))
        return translate(self, bq_sql, **options)

    translator.SQLTranslator.translate = strict


def casts_in(bq_sql):
    if "(" not in bq_sql.upper().partition("CAST")[2]:
        return
    try:
        trees = sqlglot.parse(bq_sql, read="bigquery")
    except sqlglot.errors.SqlglotError:
        return  # the emulator itself says what is wrong
    for tree in trees:
        if tree is not None:
            yield from tree.find_all(exp.Cast)


numeric_has_nine_digits()
bracketed_queries_have_columns()
casts_take_no_parameters()
sys.exit(main())
