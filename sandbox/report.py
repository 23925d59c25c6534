"""The report of a check, in Markdown for the comment of a pull request: verdict, findings, quota, changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sandbox.preview import Preview, Violation, leaves

PATHS = 12
"""How many changed values of one object are shown."""

FOLDED = 30
"""More lines of changes than these are folded away."""

CHARACTERS = 60_000
"""GitHub takes 65536 in a comment; the rest is cut, and the report says so."""

_WIDTH = 80


@dataclass(frozen=True)
class Budget:
    """One bound of a quota: what it is of, the largest demand before and after, and what is allowed; as texts."""

    bound: str
    before: str
    after: str
    allowed: str
    share: float


def report(
    stack: str,
    after: Preview,
    *,
    before: Preview | None = None,
    against: str = "",
    budgets: Sequence[Budget] = (),
    pages: Mapping[str, str] | None = None,
) -> str:
    """The whole report.

    Args:
        stack: the name of the stack.
        after: the preview of what is proposed.
        before: the preview of what it is compared with.
        against: what that is, such as a branch.
        budgets: what the objects cost at their largest.
        pages: for each policy the address of its page.
    """
    parts = [
        f"<!-- ml-platform check {stack} -->",
        f"## Stack `{stack}`: {_verdict(after)}",
        *_errors(after),
        *_findings("Findings", [each for each in after.violations if not each.undecided], pages or {}),
        *_findings("Undecided until `pulumi up`", [each for each in after.violations if each.undecided], pages or {}),
        *_quota(budgets),
        *_changes(after, before, against),
    ]
    text = "\n\n".join(parts) + "\n"
    if len(text) > CHARACTERS:
        text = text[:CHARACTERS].rpartition("\n")[0]
        text += "\n\n</details>" if "<details>" in text else ""
        text += "\n\nThe report goes on; this is as much as a comment holds.\n"
    return text


def _verdict(after: Preview) -> str:
    mandatory = sum(each.level == "mandatory" for each in after.violations)
    if after.errors:
        return "refused, it cannot be previewed"
    if mandatory:
        return f"refused, {_count(mandatory, 'mandatory finding')}"
    rest = len(after.violations)
    return f"may be deployed, with {_count(rest, 'remark')}" if rest else "may be deployed"


def _errors(after: Preview) -> Iterator[str]:
    for text in after.errors:
        yield f"```\n{text}\n```"


def _findings(title: str, found: Sequence[Violation], pages: Mapping[str, str]) -> Iterator[str]:
    if not found:
        return
    lines = ["| rule | level | what |", "|---|---|---|"]
    for each in sorted(found, key=lambda one: (one.level != "mandatory", one.policy)):
        page = pages.get(each.policy)
        rule = f"[{each.policy}]({page})" if page else each.policy
        lines.append(f"| {rule} | {each.level} | {_cell(each.message)} |")
    yield f"### {title}\n\n" + "\n".join(lines)


def _quota(budgets: Sequence[Budget]) -> Iterator[str]:
    if not budgets:
        return
    lines = ["| quota | before | after | allowed | used |", "|---|--:|--:|--:|--:|"]
    lines += [
        f"| {each.bound} | {each.before} | {each.after} | {each.allowed} | {each.share:.0%} |" for each in budgets
    ]
    yield "### Quota, with everything at its largest\n\n" + "\n".join(lines)


def _changes(after: Preview, before: Preview | None, against: str) -> Iterator[str]:
    if after.errors:
        return
    if before is None:
        kinds = sorted({name.partition("/")[0] for name in after.objects})
        yield f"### Objects\n\n{_count(len(after.objects), 'object')} of {_count(len(kinds), 'kind')}."
        return
    new = [name for name in after.objects if name not in before.objects]
    gone = [name for name in before.objects if name not in after.objects]
    both = {name: _differences(before, after, name) for name in after.objects if name in before.objects}
    changed = {name: found for name, found in both.items() if found}
    counts = f"{len(new)} new, {len(changed)} changed, {len(gone)} removed, {len(both) - len(changed)} the same"
    lines = [f"- new: `{name}`" for name in new] + [f"- removed: `{name}`" for name in gone]
    for name, found in changed.items():
        lines.append(f"- changed: `{name}`")
        lines += [f"  - `{path}`: {was} → {now}" for path, was, now in found[:PATHS]]
        if len(found) > PATHS:
            lines.append(f"  - and {len(found) - PATHS} more")
    listed = "\n".join(lines)
    if len(lines) > FOLDED:
        listed = f"<details><summary>{counts}</summary>\n\n{listed}\n\n</details>"
    yield "\n\n".join([f"### Changes against `{against}`", f"{counts}.", *([listed] if lines else [])])


def _differences(before: Preview, after: Preview, name: str) -> list[tuple[str, str, str]]:
    was, now = (dict(leaves(side.objects[name].body.raw)) for side in (before, after))
    return [
        (path, _code(was.get(path)), _code(now.get(path)))
        for path in sorted(was.keys() | now.keys())
        if was.get(path) != now.get(path)
    ]


def _code(text: str | None) -> str:
    if text is None:
        return "nothing"
    shown = text.replace("`", "'")
    return f"`{shown}`" if len(shown) <= _WIDTH else f"`{shown[:_WIDTH]}…`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
