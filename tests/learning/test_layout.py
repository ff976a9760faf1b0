import numpy as np
import pytest

from gossip.errors import ConfigError
from gossip.learning.layout import Layout
from gossip.learning.shapes import DetectorShape, MLPShape


def test_views_are_the_named_slices_in_order() -> None:
    layout = Layout((("a", (2, 3)), ("b", (3,))))
    assert layout.dim == 9
    stack = np.arange(18, dtype=np.float32).reshape(2, 9)
    views = layout.views(stack)
    assert views["a"].tolist() == [[[0, 1, 2], [3, 4, 5]], [[9, 10, 11], [12, 13, 14]]]
    assert views["b"].tolist() == [[6, 7, 8], [15, 16, 17]]
    views["b"][:] = 0
    assert stack[1].tolist() == [9, 10, 11, 12, 13, 14, 0, 0, 0]


def test_views_of_one_vector_have_no_leading_axis() -> None:
    layout = Layout((("a", (2, 3)),))
    assert layout.views(np.zeros(6, np.float32))["a"].shape == (2, 3)


def test_a_vector_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="9 numbers, got 8"):
        Layout((("a", (9,)),)).views(np.zeros((2, 8), np.float32))


@pytest.mark.parametrize(
    "arrays", [(("a", (1,)), ("a", (2,))), (("a", (0,)),), (("a", ()),), (("a", (3, -1)),)]
)
def test_a_senseless_layout_is_refused(arrays: tuple[tuple[str, tuple[int, ...]], ...]) -> None:
    with pytest.raises(ConfigError, match="model array 'a'"):
        Layout(arrays)


def test_what_travels_comes_first_and_what_rebuilds_stays() -> None:
    shape = DetectorShape(26)
    names = [name for name, place, _ in shape.layout.slices() if place.stop <= shape.shared]
    assert names == ["encode.w", "encode.b", "judge.w", "judge.b", "name.w", "name.b"]


def test_the_default_detector_is_small() -> None:
    assert 5_000 <= DetectorShape(26).layout.dim <= 12_000
    assert MLPShape((57, 2)).layout.dim == 116
    assert MLPShape((115, 64, 32, 10)).layout.dim == 9_834


@pytest.mark.parametrize("shape", [DetectorShape(26), MLPShape((5, 3, 2))])
def test_fresh_vectors_hang_on_the_seed_alone(shape: DetectorShape | MLPShape) -> None:
    vector = shape.initial(b"a")
    assert vector.shape == (shape.layout.dim,)
    assert vector.dtype == np.float32
    assert np.array_equal(vector, shape.initial(b"a"))
    assert not np.array_equal(vector, shape.initial(b"b"))


def test_shapes_say_their_sizes() -> None:
    assert DetectorShape(4, 5, 2, 6).text == "detector 4-5-2-5-4 head 6-32 coded"
    assert MLPShape((5, 2)).text == "mlp 5-2"


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="hidden = 0"):
        DetectorShape(4, hidden=0)
    with pytest.raises(ConfigError, match="at least two"):
        MLPShape((5,))
