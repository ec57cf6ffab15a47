"""
Replace every .py below a folder by its byte code. Run by the interpreter that is bundled; standard library only.

    compile_tree.py FOLDER PATH-IN-LAMBDA
"""

import py_compile
import sys
from pathlib import Path

folder, final = Path(sys.argv[1]), sys.argv[2]
for source in sorted(folder.rglob("*.py")):
    py_compile.compile(
        str(source),
        cfile=str(source.with_suffix(".pyc")),
        dfile=f"{final}/{source.relative_to(folder)}",
        doraise=True,
        optimize=0,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    source.unlink()
