"""An input format a file, beside what they share.

base.py           the contract of a format
parquet.py        parquet, by row groups
jsonl.py          JSON lines, and a `.json` file that is one array
text.py           one document a file
lines.py          one document a line
warc.py           WARC and WET
batch_rows.py     the rows of a record batch of Arrow's
json_array.py     the items of a JSON array
line_records.py   lines of a byte range as records
response.py       HTTP records of a WARC
"""
