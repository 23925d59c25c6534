"""Entry point of the pack, run by `python -m pulumi.policy <engine address> <this folder>`; never imported.

The engine puts this folder on `sys.path`; but modules are imported as
`policies.<module>`, as the tests do, so the folder's parent goes first.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from policies.server import serve  # noqa: E402 - importable only after the line above

serve(HERE / "config", engine=sys.argv[1])
