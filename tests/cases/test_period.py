"""When the cases are of: months, which are no date of anybody's."""

from medspark.cases.period import months_of


def test_the_first_and_the_last_month(spark):
    cases = spark.sql(
        "select * from values (timestamp'2021-03-31 23:59:59'), (timestamp'2019-12-01 00:00:00'), (null) "
        "as t(prediction_time)"
    )
    assert months_of(cases) == ("2019-12", "2021-03")


def test_cases_without_a_time_have_no_months(spark):
    assert months_of(spark.sql("select cast(null as timestamp) as prediction_time")) is None
    assert months_of(spark.sql("select timestamp'2021-03-31' as prediction_time where false")) is None
