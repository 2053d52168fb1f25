"""What the guide tells people to write, for tests to do the same."""

import re
import textwrap

from tests.kubernetes.installation import MANIFESTS

GUIDE = MANIFESTS.parent.parent / "docs/guides/kubernetes.md"


def guide(language: str, beginning: str) -> str:
    """The block of code in the guide that begins so."""
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```$", GUIDE.read_text(), re.M | re.S)
    [found] = [each for each in map(textwrap.dedent, blocks) if each.startswith(beginning)]
    return found
