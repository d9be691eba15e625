import pytest

from ppbench.tables.sheet import Line, Sheet
from ppbench.tables.wrapping import GAP, lay_out, paragraph


def sheet_of(*rows, header=("metric", "value", "what it is"), text_columns=(0, 2)):
    return Sheet("title", header, tuple(Line(row) for row in rows), text_columns)


def letters(text):
    return "".join(text.split())


LABEL = "mCE[a-model,c15,s1-5,500 of 2000]"


def test_what_fits_is_not_wrapped_and_takes_no_more_than_it_needs():
    (block,) = lay_out(sheet_of((LABEL, "1.00 %", "two words")), 80)
    assert block.widths == (len(LABEL), 6, 10)
    assert block.rows == ((LABEL, "1.00 %", "two words"),)


def test_labels_wrap_at_commas_and_keep_the_counts_together():
    (block,) = lay_out(sheet_of((LABEL, "1.00 %"), header=("metric", "value"), text_columns=(0,)), 30)
    assert block.rows == (("mCE[a-model,c15,s1-5,\n  500 of 2000]", "1.00 %"),)


@pytest.mark.parametrize("width", range(8, 90))
def test_no_letter_is_lost_at_any_width(width):
    rows = [(LABEL, "100.00 %", "error over the normaliser's"), ("  " + "x" * 50, "n/a", "-" * 50), ("group",)]
    sheet = sheet_of(*rows)
    blocks = lay_out(sheet, width)
    for block in blocks:
        assert sum(block.widths) + GAP * (len(block.widths) - 1) <= max(width, 2 * GAP + 3)
        for place, size, column in zip(block.columns, block.widths, zip(*block.rows, strict=True), strict=True):
            for text, row in zip(column, rows, strict=True):
                assert letters(text) == letters(row[place] if place < len(row) else "")
                assert all(len(line) <= size for line in text.splitlines())
        assert list(map(letters, block.header)) == [letters(sheet.header[place]) for place in block.columns]
    assert {place for block in blocks for place in block.columns} == {0, 1, 2}


def test_a_paragraph_keeps_numbers_with_their_units():
    text = "500 of 2000 images: log loss 0.50 nats, accuracy 11.2 %."
    for width in range(11, 60):
        lines = paragraph(text, width).splitlines()
        assert " ".join(lines) == text
        assert max(map(len, lines)) <= width
        assert not {"of", "nats,", "%."} & {line.split()[0] for line in lines}


def test_columns_that_do_not_fit_go_below_with_the_first_one_again():
    header = ("%", *(f"run-{i}" for i in range(7)))
    blocks = lay_out(sheet_of(("mean_error", *["100.00"] * 7), header=header, text_columns=(0,)), 38)
    assert [block.columns for block in blocks] == [(0, 1, 2, 3), (0, 4, 5, 6), (0, 7)]


@pytest.mark.parametrize("width", range(40, 90))
def test_labels_in_headers_break_where_labels_do(width):
    header = ("model", "mCE[alexnet,c15,s1-5] %", "mCE[alexnet,c15,s1-5,1000 of 50000] %", "source")
    sheet = sheet_of(("ResNet-50", "76.7", "75.0", "pytorch"), header=header, text_columns=(0, 3))
    heads = [line for block in lay_out(sheet, width) for text in block.header for line in text.splitlines()]
    assert not any(line.startswith(("5", "of")) or line.endswith(("-", "1000")) for line in heads)


def test_names_in_headers_break_at_their_parts():
    header = ("%", "fashion-mnist-resnet8")
    (block,) = lay_out(sheet_of(("mean_error[s1-5]", "6.20"), header=header, text_columns=(0,)), 28)
    assert block.header == ("%", "fashion-\nmnist-resnet8")


def test_a_count_of_classes_stays_together():
    label = "mCE[a,c15,s1-5,200 of 1000 classes,200 classes masked,5 corruptions]"
    (block,) = lay_out(sheet_of((label, "1.00 %"), header=("metric", "value"), text_columns=(0,)), 32)
    lines = block.rows[0][0].splitlines()
    assert [line.strip() for line in lines] == [
        "mCE[a,c15,s1-5,",
        "200 of 1000 classes,",
        "200 classes masked,",
        "5 corruptions]",
    ]
    assert "200 classes masked" in paragraph("of 200 classes masked", 18).splitlines()


NUMBERS = ("50.0",) * 5


def test_the_name_of_a_corruption_breaks_where_that_saves_a_block_and_only_there():
    header = ("corruption", "s1", "s2", "s3", "s4", "s5")
    sheet = sheet_of(("  single_frequency_greyscale", *NUMBERS), header=header, text_columns=(0,))
    (wide,) = lay_out(sheet, 58)
    assert wide.rows[0][0] == "  single_frequency_greyscale"
    (narrow,) = lay_out(sheet, 57)
    assert narrow.rows[0][0] == "  single_frequency_\n    greyscale"
    several = lay_out(sheet, 43)
    assert len(several) > 1
    assert {block.rows[0][0] for block in several} == {"  single_frequency_greyscale"}


def test_a_very_long_name_breaks_between_its_parts():
    name = "a_name_of_the_dataset_s_own_with_forty_letters"
    (block,) = lay_out(sheet_of((name, "50.0"), header=("corruption", "s1"), text_columns=(0,)), 40)
    assert block.rows[0][0] == "a_name_of_the_dataset_s_own_with_\n  forty_letters"


@pytest.mark.parametrize("width", [20, 80])
def test_a_table_without_rows_is_its_header(width):
    header = ("class", "predicted as", "added")
    blocks = lay_out(Sheet("title", header, (), text_columns=(0, 1)), width)
    assert [text for block in blocks for text in map(letters, block.header)][:1] == ["class"]
    assert {place for block in blocks for place in block.columns} == {0, 1, 2}
    assert all(block.rows == () for block in blocks)
