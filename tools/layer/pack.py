"""
Write a folder as a zip in which nothing but the folder shows: fixed order, dates and modes. Standard library only.

    pack.py FOLDER ZIP

Run by the interpreter that is bundled: another zlib than its own, such as zlib-ng, compresses to other bytes.
"""

import sys
import zipfile
from pathlib import Path

# The oldest date that a zip can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)

folder, archive = Path(sys.argv[1]), Path(sys.argv[2])
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (0o100000 | path.stat().st_mode & 0o777) << 16
            file.writestr(entry, path.read_bytes())
