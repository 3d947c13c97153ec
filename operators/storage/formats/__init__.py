"""An input format a file, beside what they share.

base.py           the contract of a format
parquet.py        parquet, by row groups
arrow.py          files of Arrow itself, which the library `datasets` saves
jsonl.py          JSON: lines, arrays, values one after another, the one list inside of an object
text.py           one document a file
lines.py          one document a line
warc.py           WARC and WET
batch_rows.py     the rows of a record batch of Arrow's
json_shape.py     how a JSON file is laid out, told from its beginning
json_items.py     the values of a JSON file that is no line each
json_layout.py    how they lie, and where the next one is after a broken one
json_scan.py      where a JSON value ends
json_mend.py      where a broken one ends
line_records.py   lines of a byte range as records
response.py       HTTP records of a WARC
media_type.py     what a Content-Type says
"""
