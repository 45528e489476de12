"""JSON and tables from strangers: what they may cost, and what is said about those that are wrong."""

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import MotionError
from pipeline.motion.formats import json_file, table_file
from pipeline.motion.formats.json_file import number_of, numbers_of, open_json
from pipeline.motion.formats.sources import open_source
from pipeline.motion.formats.table_file import open_table


@pytest.fixture
def text(tmp_path):
    """Content → a file that holds it."""

    def write(content, name="a.json"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


class TestJson:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
    def test_encodings(self, text, encoding, tmp_path):
        mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
        path = text(mark + json.dumps({"é": [1, 2.5]}, ensure_ascii=False).encode(encoding))
        source = open_source(path, tmp_path)
        assert source.data == {"é": [1, 2.5]}

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("[" * 17 + "]" * 17, "16 levels"),
            ("[" * 10_000_000, "16 levels"),
            ('{"a": ' * 500_000, "16 levels"),
            ("[" + "[]," * 600_001 + "0]", "600000 lists"),
            ("[" + "0," * 6_000_001 + "0]", "6000000 values"),
            ('["' + "\\n" * 100_001 + '"]', "no motion clip has"),
            ("[" + "9" * 401 + "]", "no motion clip has"),
            ("[NaN]", "NaN, which is no number"),
            ("[-Infinity]", "which is no number"),
            ("[1, 2", "no valid JSON"),
            ('{"a": }', "no valid JSON"),
            (b'["\xff\xfe"]', "no valid JSON"),
            (b"\xff\xfe[", "no valid JSON"),
        ],
        ids=lambda value: str(value)[:16],
    )
    def test_refused(self, text, content, told):
        with pytest.raises(MotionError, match=told):
            open_json(text(content))

    def test_brackets_in_texts_are_no_levels(self, text):
        document = {"a": "[" * 100, "b": '\\"[[[[[[[[[[[[[[[[[[[[[[' * 3, "[" * 40: "]"}
        assert open_json(text(json.dumps(document))).data == document

    def test_texts_across_blocks(self, text, monkeypatch):
        monkeypatch.setattr(json_file, "BLOCK", 7)
        document = [["[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 'a"[[['], [[1], [2]], "]]]]]"]
        assert open_json(text(json.dumps(document))).data == document
        with pytest.raises(MotionError, match="16 levels"):
            open_json(text("[" * 17 + '"]]]]"' + "]" * 17))

    def test_too_large(self, text, monkeypatch):
        monkeypatch.setattr(json_file, "MOST_BYTES", 2**20)
        with pytest.raises(MotionError, match="has 2 MB; JSON files of at most 1 MB"):
            open_json(text(b" " * 2**21))

    @given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3), st.lists))
    def test_any_list_is_numbers_or_a_sentence(self, value):
        with suppress(MotionError):
            values = numbers_of(value, "weights", "a.json")
            assert values.ndim == 2
            assert values.dtype == np.float64

    def test_null_is_a_missing_number(self):
        np.testing.assert_array_equal(numbers_of([[None, 1], [2, 3]], "w", "a"), [[np.nan, 1], [2, 3]])

    @pytest.mark.parametrize("value", [None, True, "1", [1], {}, float("nan"), float("inf"), 10**400])
    def test_no_number(self, value):
        assert number_of(value) is None


class TestTable:
    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_separators_and_line_ends(self, text, separator, newline):
        lines = [["a", "b", "c"], ["1", "2.5", "-3e-1"], ["", "5", "6"]]
        file = open_table(text(newline.join(separator.join(line) for line in lines), "a.csv"))
        values, _ = file.read()
        assert file.columns == ("a", "b", "c")
        np.testing.assert_array_equal(values, [[1, 2.5, -0.3], [np.nan, 5, 6]])

    def test_words_beside_numbers(self, text):
        values, words = open_table(text("a,b\nx,1\ny,2\n", "a.csv")).read(text=0)
        assert words == ["x", "y"]
        np.testing.assert_array_equal(values, [[np.nan, 1], [np.nan, 2]])

    def test_decimal_commas(self, text):
        values, _ = open_table(text('a;b\n0,25;-1,5e2\n"3,5";4\n', "a.csv")).read()
        np.testing.assert_array_equal(values, [[0.25, -150], [3.5, 4]])

    def test_closing_separators(self, text):
        file = open_table(text("a,b,\n1,2,\n3,4\n5\n", "a.csv"))
        assert file.columns == ("a", "b")
        np.testing.assert_array_equal(file.read()[0], [[1, 2], [3, 4], [5, np.nan]])

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"\x00\x01\x02,\x03\n", "neither a motion file nor a table"),
            ("a,b\n1,2\n".encode("utf-16-le"), "neither a motion file nor a table"),
            (b"\xff\xfea,b\n\x00", "neither a motion file nor a table"),
            (b"a,b\xe9\n", "neither a motion file nor a table"),
            ("just words\n", "its text has no columns"),
            (",".join("a" * 129) + "\n", "has 129 columns"),
            ("\n\n\n", "its text has no columns"),
        ],
    )
    def test_no_table(self, text, content, told):
        with pytest.raises(MotionError, match=told):
            open_table(text(content, "a.csv"))

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("a,b\n1,x\n", "line 2 of a.csv has 'x' where a number"),
            ("a,b\n1,2\n1,2,3\n", "line 3 of a.csv has 3 values, but 2 columns"),
            ("a,b\n", "no line below"),
            (b"a,b\n1,2\n" + b"1,2\n" * 9999 + b"1,\xff\n", "neither a motion file"),
            ('a,b\n1,"' + "x" * 200_000, "neither a motion file"),
        ],
        ids=["word", "wide", "empty", "late bytes", "endless cell"],
    )
    def test_wrong_lines(self, text, content, told):
        with pytest.raises(MotionError, match=told):
            open_table(text(content, "a.csv")).read()

    def test_too_many_lines(self, text, monkeypatch):
        monkeypatch.setattr(table_file, "MOST_FRAMES", 10)
        monkeypatch.setattr(table_file, "MOST_LINES", 40)
        with pytest.raises(MotionError, match="more than 10 lines"):
            open_table(text("a,b\n" + "1,2\n" * 11, "a.csv")).read()
        with pytest.raises(MotionError, match="more than 40 lines"):
            open_table(text("a,b\n" + "\n" * 50 + "1,2\n", "a.csv")).read()

    def test_too_large(self, text, monkeypatch):
        monkeypatch.setattr(table_file, "MOST_BYTES", 2**20)
        with pytest.raises(MotionError, match="has 2 MB; tables of at most 1 MB"):
            open_table(text(b"a,b\n" * 2**19, "a.csv"))

    @given(st.lists(st.lists(st.text(max_size=5), min_size=2, max_size=4), min_size=1, max_size=5))
    def test_any_text_is_a_table_or_a_sentence(self, tmp_path_factory, rows):
        path = tmp_path_factory.mktemp("table") / "a.csv"
        path.write_text("\n".join(",".join(row) for row in rows), encoding="utf-8", errors="replace", newline="")
        with suppress(MotionError):
            file = open_table(path)
            values, _ = file.read()
            assert values.shape[1] == len(file.columns)
