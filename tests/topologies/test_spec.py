import pytest
from hypothesis import given
from hypothesis import strategies as st

from topologies.errors import TopologyError
from topologies.spec import KINDS, SPEC_HELP, parse

EXAMPLES = [kind.example for kind in KINDS.values()]


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_parses_as_its_own_kind(example):
    spec = parse(example)
    assert KINDS[spec.kind].example == example
    assert parse(str(spec)) == spec


@pytest.mark.parametrize("name", KINDS)
def test_help_shows_every_kind(name):
    assert KINDS[name].example in SPEC_HELP
    assert KINDS[name].meaning in " ".join(SPEC_HELP.split())


def test_help_fits_a_terminal():
    assert max(len(line) for line in SPEC_HELP.split("\n")) <= 96


def test_first_key_may_be_left_out_and_blanks_do_not_matter():
    assert parse("regular:12,degree=4") == parse(" regular : degree = 4 , nodes = 12 ")


def test_defaults_fill_in():
    assert str(parse("small-world:50")) == "small-world:50,k=4,rewire=0.1"
    assert (
        str(parse("clustered:sites=3,peers=2"))
        == "clustered:sites=3,peers=2,links=2,between=complete"
    )


def test_file_path_is_taken_as_it_stands():
    assert parse("file:a b,c=d:e.txt").path == "a b,c=d:e.txt"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "unknown kind ''"),
        ("rnig:5", "did you mean 'ring'?"),
        ("xyzzy:5", "known are ring, torus"),
        ("ring", "nodes is missing; write for example ring:32"),
        ("ring:", "nodes is missing"),
        ("ring:2", "nodes is 2; it must be from 3 to 100,000"),
        ("ring:100001", "it must be from 3 to 100,000"),
        ("ring:-5", "nodes is '-5'; write a whole number"),
        ("ring:1e3", "write a whole number"),
        ("ring:٣٣", "write a whole number"),
        ("ring:99999999999999999999", "write a whole number"),
        ("ring:5,6", "'6' has no key"),
        ("ring:5,nodes=6", "nodes is given twice"),
        ("regular:10,degre=2", "unknown key 'degre'; did you mean 'degree'?"),
        ("regular:10", "degree is missing"),
        ("torus:6", "write ROWSxCOLUMNS"),
        ("torus:2x6", "must be from 3"),
        ("erdos-renyi:10,p=1.5", "p is 1.5; it must be from 0 to 1"),
        ("erdos-renyi:10,p=nan", "must be from 0 to 1"),
        ("erdos-renyi:10,p=often", "write a number from 0 to 1"),
        ("clustered:sites=2,peers=2,between=rings", "did you mean 'ring'?"),
        ("file:", "a path is missing"),
        ("ring:" + "3" * 5000, "4096 at most"),
    ],
)
def test_a_mistake_is_named_with_its_cure(text, said):
    with pytest.raises(TopologyError) as caught:
        parse(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.text()
    | st.builds("{}:{}".format, st.sampled_from(list(KINDS)), st.text("0123456789,=xpkm.-"))
)
def test_any_text_gives_a_spec_or_one_error(text):
    try:
        spec = parse(text)
    except TopologyError:
        return
    assert parse(str(spec)) == spec
