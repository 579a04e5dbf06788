"""Model instances and types that users register."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.test import override_settings

from djtasks.codec import (
    decode_call,
    decode_result,
    encode_call,
    encode_result,
    load_registered_codecs,
    register_type,
    unregister_type,
)
from djtasks.eager import EagerResult
from djtasks.exceptions import DecodeError, EncodeError, InstanceGone
from djtasks.result import AsyncResult, result_from_tuple
from tests.testapp.models import Counter


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str


class Euros(Money):
    pass


@pytest.fixture
def money() -> Iterator[None]:
    register_money()
    yield
    unregister_type(Money)


def register_money() -> None:
    register_type(Money, "money", lambda m: (m.amount, m.currency), lambda stored: Money(*stored))


def trip(value: Any) -> Any:
    args, kwargs = decode_call(encode_call((value,), {"k": [value]}, task="t"))
    result = decode_result(encode_result(value, what="x"))
    assert args == [result]
    assert kwargs == {"k": [result]}
    return result


# -- model instances ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_an_instance_is_fetched_again() -> None:
    counter = Counter.objects.create(name="a", value=1)
    text = encode_call((counter,), {}, task="t")
    Counter.objects.update(value=2)
    [copy], _ = decode_call(text)
    assert copy == counter
    assert copy is not counter
    assert copy.value == 2


@pytest.mark.django_db(databases=["default", "other"])
def test_an_instance_is_fetched_from_its_database() -> None:
    counter = Counter.objects.using("other").create(name="a", value=1)
    Counter.objects.create(pk=counter.pk, name="another", value=2)
    [copy], _ = decode_call(encode_call((counter,), {}, task="t"))
    assert (copy.name, copy._state.db) == ("a", "other")


class PrimaryReplicaRouter:
    """Reads come from the replica, and are saved to the primary."""

    def db_for_write(self, model: object, **hints: object) -> str:
        return "default"


@pytest.mark.django_db(databases=["default", "other"])
@override_settings(DATABASE_ROUTERS=["tests.test_codec_types.PrimaryReplicaRouter"])
def test_an_instance_read_from_a_replica_is_fetched_from_the_primary() -> None:
    Counter.objects.using("other").create(pk=1, name="replica")
    Counter.objects.using("default").create(pk=1, name="primary")
    counter = Counter.objects.using("other").get()
    [copy], _ = decode_call(encode_call((counter,), {}, task="t"))
    assert copy.name == "primary"


@pytest.mark.django_db
def test_a_deleted_instance_is_named() -> None:
    counter = Counter.objects.create(name="a")
    key = counter.pk
    text = encode_call((counter,), {}, task="t")
    counter.delete()
    with pytest.raises(InstanceGone) as caught:
        decode_call(text)
    assert (caught.value.model, caught.value.pk, caught.value.using) == (
        *("testapp.Counter", key, "default"),
    )
    assert f"testapp.Counter with primary key {key} no longer exists" in str(caught.value)


@pytest.mark.parametrize("counter", [Counter(name="a"), Counter(pk=3, name="a")], ids=["", "pk"])
def test_an_unsaved_instance_is_refused(counter: Counter) -> None:
    with pytest.raises(
        EncodeError, match=r"args\[0\] of task 't': a testapp\.Counter that has not"
    ):
        encode_call((counter,), {}, task="t")


@pytest.mark.django_db
def test_a_model_or_database_that_is_not_here() -> None:
    text = encode_result(Counter.objects.create(name="a"), what="x")
    with pytest.raises(DecodeError, match=r"'testapp\.nothing', a model that is not installed"):
        decode_result(text.replace("counter", "nothing"))
    with pytest.raises(DecodeError, match="the database 'gone', which is not in DATABASES"):
        decode_result(text.replace('"default"', '"gone"'))


@pytest.mark.django_db
def test_a_database_that_is_away_is_not_the_arguments_fault() -> None:
    text = encode_result(Counter.objects.create(name="a"), what="x")

    def fail(*args: Any) -> None:
        raise OperationalError("the connection is lost")

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        decode_result(text)


@pytest.mark.django_db
def test_a_queryset_is_refused_without_a_query(django_assert_num_queries: Any) -> None:
    with (
        django_assert_num_queries(0),
        pytest.raises(EncodeError, match=r"pass a list of keys: list\(queryset\.values_list"),
    ):
        encode_call((Counter.objects.all(),), {}, task="t")


# -- handles --------------------------------------------------------------------------------------


def test_a_handle_arrives_as_its_tuple() -> None:
    handle = AsyncResult[Any]("order-42", parent=AsyncResult("first"))
    stored = trip(handle)
    assert stored == [["order-42", [["first", None], None]], None]
    copy = result_from_tuple(stored)
    assert (copy, copy.parent) == (handle, handle.parent)
    assert trip(EagerResult(handle.id, 1, "SUCCESS")) == [["order-42", None], None]


# -- registered types -----------------------------------------------------------------------------


@pytest.mark.usefixtures("money")
def test_a_registered_type_survives() -> None:
    assert trip(Money(Decimal("1.50"), "EUR")) == Money(Decimal("1.50"), "EUR")


@pytest.mark.usefixtures("money")
def test_subclasses_are_written_by_the_nearest_base() -> None:
    assert trip(Euros(Decimal(1), "EUR")) == Money(Decimal(1), "EUR")
    register_type(Euros, "euros", lambda m: m.amount, lambda amount: Euros(amount, "EUR"))
    try:
        assert trip(Euros(Decimal(1), "EUR")) == Euros(Decimal(1), "EUR")
    finally:
        unregister_type(Euros)


def test_unregistered_types_are_refused_again() -> None:
    register_money()
    text = encode_result(Money(Decimal(1), "EUR"), what="x")
    unregister_type(Money)
    with pytest.raises(DecodeError, match=r"'money' is unknown in this process.*REGISTERED_CODECS"):
        decode_result(text)
    with pytest.raises(EncodeError, match=r"register_type\(\)"):
        encode_result(Money(Decimal(1), "EUR"), what="x")
    with pytest.raises(KeyError):
        unregister_type(Money)


def test_without_a_tag_the_encoding_stands_by_itself() -> None:
    register_type(Money, None, lambda m: [str(m.amount), m.currency])
    try:
        assert trip(Money(Decimal(1), "EUR")) == ["1", "EUR"]
    finally:
        unregister_type(Money)


@pytest.mark.usefixtures("money")
def test_the_last_registration_of_a_type_holds() -> None:
    text = encode_result(Money(Decimal(1), "EUR"), what="x")
    register_type(Money, "cash", lambda m: m.currency, lambda stored: Money(Decimal(2), stored))
    assert trip(Money(Decimal(1), "EUR")) == Money(Decimal(2), "EUR")
    with pytest.raises(DecodeError, match="'money' is unknown"):
        decode_result(text)


def test_a_builtin_type_can_be_replaced_and_restored() -> None:
    register_type(date, "day", date.toordinal, date.fromordinal)
    try:
        assert '"day"' in encode_result(date(2024, 1, 1), what="x")
        assert trip(date(2024, 1, 1)) == date(2024, 1, 1)
    finally:
        unregister_type(date)
    assert '"date"' in encode_result(date(2024, 1, 1), what="x")


def test_an_encoder_that_fails_is_named() -> None:
    def fail(money: Money) -> Any:
        raise AttributeError("no such thing")

    register_type(Money, "money", fail, lambda stored: Money(*stored))
    try:
        with pytest.raises(
            EncodeError, match=r"args\[0\].*encode function for .*Money raised Attrib"
        ):
            encode_call((Money(Decimal(1), "EUR"),), {}, task="t")
    finally:
        unregister_type(Money)


def test_an_encoder_that_returns_its_value_does_not_run_for_ever() -> None:
    register_type(Money, "money", lambda m: m, lambda stored: stored)
    try:
        with pytest.raises(EncodeError, match="contains itself"):
            encode_call((Money(Decimal(1), "EUR"),), {}, task="t")
    finally:
        unregister_type(Money)


@pytest.mark.parametrize("cls", [str, int, dict, list, tuple, object, type(None)])
def test_types_of_json_cannot_be_registered(cls: type) -> None:
    with pytest.raises(ValueError, match="always is stored as it is"):
        register_type(cls, "mine", str, str)


@pytest.mark.usefixtures("money")
@pytest.mark.parametrize("tag", ["datetime", "model", "money"])
def test_a_tag_belongs_to_one_type(tag: str) -> None:
    with pytest.raises(ValueError, match=f"The tag '{tag}' is in use"):
        register_type(Counter, tag, str, lambda stored: Counter(name=stored))


def test_wrong_registrations() -> None:
    with pytest.raises(TypeError, match="takes a class"):
        register_type("Money", "money", str, str)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="needs a decode function"):
        register_type(Money, "money", str)


@override_settings(DJTASKS={"REGISTERED_CODECS": ["tests.test_codec_types.register_money"]})
def test_the_setting_registers_types_at_start() -> None:
    apps.get_app_config("djtasks").ready()
    try:
        assert trip(Money(Decimal(1), "EUR")) == Money(Decimal(1), "EUR")
    finally:
        unregister_type(Money)


@pytest.mark.parametrize("path", ["tests.no_such_module.f", "tests.test_codec_types.__name__"])
def test_a_setting_that_names_no_function(path: str) -> None:
    with (
        override_settings(DJTASKS={"REGISTERED_CODECS": [path]}),
        pytest.raises(ImproperlyConfigured, match=r"DJTASKS\['REGISTERED_CODECS'\] names '"),
    ):
        load_registered_codecs()
