"""Where bytes lie, and how they become documents.

registry.py      the input formats there are; one line each
base.py          the contract of reading: files, splits, pieces of documents
config.py        what can be said of storages and inputs
listing.py       from paths to files and splits
sift.py          which files of a folder are documents, and why the others are not
partitions.py    folders that are called COLUMN=VALUE
reading.py       from a split to its documents
formats/         one input format a file
sniff.py         what a file is, told from its first bytes
packing.py       how files are packed, as their first bytes tell
compression.py   packed files as a stream of bytes, with the places told where some are missing
zstd.py          frames of Zstandard, with the dictionary of a WARC
frames.py        where the records of a WARC begin and end, also after damage
window.py        a view of the next bytes of a stream
filesystem.py    local disks, S3 and the hub behind one face
place.py         a folder of an artifact: files whole or not at all
local.py         the same on a disk of this machine
s3.py            S3 with patience: what is tried again, and whose fault an error is
watched.py       a file that remembers a failure of its storage
"""
