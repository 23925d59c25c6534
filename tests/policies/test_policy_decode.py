"""The wire form and the cursor over what was decoded."""

import pytest

from policies.decode import SIGNATURE, UNKNOWN, Secret, decode, peek, strings
from policies.view import Malformed, Node, Undecided
from tests.policies.support import Manifest, struct

UNKNOWNS = [
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]


def test_values_come_back_as_they_were_in_the_manifest() -> None:
    value: Manifest = {"a": 3, "b": 0.5, "c": True, "d": None, "e": "x", "f": [1, {"g": []}], "h": {}}
    found = decode(struct(value))
    assert found == value
    assert type(found["a"]) is int


def test_keys_come_in_order_whatever_the_order_on_the_wire() -> None:
    keys = [f"key-{number * 7919 % 1000:03}" for number in range(100)]
    found = decode(struct({"a": {key: {} for key in keys}}))["a"]
    assert isinstance(found, dict)
    assert list(found) == sorted(keys) != keys


@pytest.mark.parametrize("sentinel", UNKNOWNS)
def test_every_unknown_of_the_engine_is_known_as_such(sentinel: str) -> None:
    assert decode(struct({"a": [sentinel]})) == {"a": [UNKNOWN]}


def test_the_engines_own_sdk_has_the_same_sentinels() -> None:
    from pulumi.runtime import rpc  # noqa: PLC0415 - slow, and for this comparison only

    assert rpc.UNKNOWN in UNKNOWNS
    assert rpc._special_sig_key == SIGNATURE


def test_a_secret_shows_its_value_to_nobody() -> None:
    found = decode(struct({"a": Secret({"b": "hidden"})}))["a"]
    assert isinstance(found, Secret)
    assert "hidden" not in f"{found}{found!r}"
    assert found.reveal() == {"b": "hidden"}


@pytest.mark.parametrize(
    ("signature", "fields", "expected"),
    [
        ("5cf8f73096256a8f31e491e813e4eb8e", {"urn": "u", "id": "i"}, "i"),
        ("5cf8f73096256a8f31e491e813e4eb8e", {"urn": "u"}, "u"),
        ("d0e6a833031e9bbcd3f4e8bde6ca49a4", {"value": 1}, 1),
        ("d0e6a833031e9bbcd3f4e8bde6ca49a4", {}, UNKNOWN),
        ("c44067f5952c0a294b673a41bacd8c17", {"text": "t"}, "<asset>"),
        ("0def7320c3a5731c473e5ecbe6d01bc7", {"path": "p"}, "<archive>"),
        ("803fd3297a5875dc03ca845dda5d2a98", {"value": "aGk="}, "hi"),
        ("803fd3297a5875dc03ca845dda5d2a98", {"value": "?"}, None),
        ("of another kind", {"a": 1}, {SIGNATURE: "of another kind", "a": 1}),
    ],
)
def test_signed_objects_become_what_a_rule_can_read(
    signature: str, fields: dict[str, object], expected: object
) -> None:
    assert decode(struct({"x": {SIGNATURE: signature, **fields}}))["x"] == expected


def test_one_string_is_read_without_decoding_the_rest() -> None:
    wire = struct({"kind": "Pod", "secret": Secret("Pod"), "unknown": UNKNOWN, "number": 1, "object": {}})
    assert [peek(wire, key) for key in ("kind", "secret")] == ["Pod", "Pod"]
    assert [peek(wire, key) for key in ("unknown", "number", "object", "absent")] == [None] * 4


def test_texts_inside_and_outside_of_secrets_are_told_apart() -> None:
    value = decode(struct({"a": "plain", "b": [Secret({"c": ["hidden", Secret("deep")]})]}))
    assert set(strings(value, secret=True)) == {"hidden", "deep"}
    assert set(strings(value, secret=False)) == {"plain"}


def test_a_path_is_read_through_a_secret_but_never_shown() -> None:
    node = Node({"a": Secret({"b": "hidden"})}).get("a", "b")
    assert node.text() == "hidden"
    assert node.shown() == "[secret]"


def test_reading_an_unknown_is_undecided_with_its_path() -> None:
    with pytest.raises(Undecided, match=r'a\["x.y/z"\]\.b: not known yet'):
        Node({"a": {"x.y/z": {"b": UNKNOWN}}}).get("a", "x.y/z", "b").text()


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("mapping", "an object"),
        ("items", "a list"),
        ("text", "a string"),
        ("flag", "true or false"),
        ("scalar", "a string or a number"),
    ],
)
def test_a_wrong_shape_is_malformed_with_what_was_expected(read: str, expected: str) -> None:
    wrong = Node(1.5 if read != "scalar" else True, "spec.x")
    with pytest.raises(Malformed, match=rf"spec\.x: expected {expected}"):
        getattr(wrong, read)()


@pytest.mark.parametrize("value", [True, -1, 1.5, "1", [], {}])
def test_a_count_is_a_whole_number_of_zero_or_more(value: object) -> None:
    with pytest.raises(Malformed):
        Node({"n": value}).get("n").integer(0)  # type: ignore[dict-item] # any value may come


def test_what_is_absent_reads_as_nothing() -> None:
    node = Node({}).get("a", "b")
    assert (node.text(), node.integer(7), node.flag(), node.scalar()) == ("", 7, False, None)
    assert (node.items(), node.mapping(), node.exists()) == ([], {}, False)
