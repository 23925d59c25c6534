"""What dashboards are made of: panels with their queries, in rows.

Grafana's classic schema, which every release since 10 reads from a file; the library calls its newer one v2.
Source: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ and
https://grafana.github.io/grafana-foundation-sdk/ (0.0.21).
"""

from collections.abc import Iterable, Iterator, Sequence
from string import ascii_uppercase

from grafana_foundation_sdk.models import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel, RowPanel, ThresholdsConfig, VariableModel
from grafana_foundation_sdk.models.prometheus import Dataquery

TAG = "ml-platform"
"""What all dashboards of the platform have; each links to the others by it."""

_COLUMNS = 24
_GREEN, _RED = "green", "red"

Row = tuple[str, Sequence[Panel]]
"""A headline and the panels under it, in reading order."""


def query(expr: str, legend: str = "") -> Dataquery:
    """PromQL; `legend` names a series by its labels, such as `{{pod}}`."""
    return Dataquery(expr=expr, legend_format=legend or None)


def percent(ratio: float) -> str:
    """A ratio in words."""
    return f"{100 * ratio:g} %"


def red_above(value: float) -> ThresholdsConfig:
    """Values from `value` on are bad."""
    return _thresholds(_GREEN, value, _RED)


def red_below(value: float) -> ThresholdsConfig:
    """Values under `value` are bad."""
    return _thresholds(_RED, value, _GREEN)


def values(
    title: str,
    unit: str,
    description: str,
    *queries: Dataquery,
    thresholds: ThresholdsConfig | None = None,
    width: int = 6,
) -> Panel:
    """The latest value of each series as a number."""
    options = stat.Options(
        graph_mode=common.BigValueGraphMode.NONE,
        reduce_options=common.ReduceDataOptions(calcs=["lastNotNull"]),
    )
    for each in queries:
        each.instant = True
    return _panel("stat", title, unit, description, queries, size=(width, 4), options=options, thresholds=thresholds)


def lines(
    title: str,
    unit: str,
    description: str,
    *queries: Dataquery,
    thresholds: ThresholdsConfig | None = None,
    width: int = 12,
) -> Panel:
    """Each series as a line over time; thresholds are drawn too."""
    options = timeseries.Options(
        legend=common.VizLegendOptions(
            display_mode=common.LegendDisplayMode.TABLE,
            placement=common.LegendPlacement.BOTTOM,
            show_legend=True,
            calcs=["lastNotNull", "max"],
        ),
        tooltip=common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING),
    )
    style = common.GraphThresholdsStyleConfig(mode=common.GraphThresholdsStyleMode.DASHED) if thresholds else None
    custom = timeseries.FieldConfig(fill_opacity=10, thresholds_style=style)
    for each in queries:
        each.range_val = True
    size = width, 8
    return _panel(
        "timeseries",
        title,
        unit,
        description,
        queries,
        size=size,
        options=options,
        thresholds=thresholds,
        custom=custom,
    )


def rows(
    title: str,
    unit: str,
    description: str,
    *queries: Dataquery,
    thresholds: ThresholdsConfig | None = None,
    width: int = 12,
) -> Panel:
    """A table of the latest values: a column for each label and, named by its legend, for each query."""
    for each in queries:
        each.instant, each.format_val = True, prometheus.PromQueryFormat.TABLE
    names = {f"Value #{ref}": each.legend_format for ref, each in zip(ascii_uppercase, queries, strict=False)}
    columns = {"excludeByName": {"Time": True}, "renameByName": {**names, "Value": queries[0].legend_format}}
    made = _panel(
        "table",
        title,
        unit,
        description,
        queries,
        size=(width, 8),
        options=table.Options(),
        thresholds=thresholds,
        custom=table.FieldConfig(),
    )
    made.transformations = [
        dashboard.DataTransformerConfig(id_val="merge", options={}),
        dashboard.DataTransformerConfig(id_val="organize", options=columns),
    ]
    return made


def choice(name: str, label: str, series: str) -> VariableModel:
    """A choice above the dashboard: values of the label `name` in `series`; queries read it as `$name`."""
    everything = dashboard.VariableOption(text="All", value="$__all")
    return VariableModel(
        type_val=dashboard.VariableType.QUERY,
        name=name,
        label=label,
        query=f"label_values({series}, {name})",
        current=everything,
        include_all=True,
        all_value=".*",
        multi=True,
        refresh=dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=dashboard.VariableSort.ALPHABETICAL_ASC,
    )


def board(name: str, title: str, description: str, *sections: Row, choices: Sequence[VariableModel] = ()) -> Dashboard:
    """A dashboard.

    Args:
        name: of it; its UID is `ml-platform-NAME`.
        title: that Grafana shows.
        description: what it answers.
        sections: rows; one without panels is left out.
        choices: above it.
    """
    return Dashboard(
        uid=f"{TAG}-{name}",
        title=title,
        description=description,
        tags=[TAG],
        timezone="utc",
        editable=False,
        graph_tooltip=dashboard.DashboardCursorSync.CROSSHAIR,
        time=dashboard.DashboardDashboardTime(from_val="now-6h", to="now"),
        refresh="30s",
        panels=list(_placed(sections)),
        templating=dashboard.DashboardDashboardTemplating(list_val=list(choices)),
        links=[
            dashboard.DashboardLink(
                title="ML Platform",
                type_val=dashboard.DashboardLinkType.DASHBOARDS,
                icon="external link",
                tags=[TAG],
                as_dropdown=True,
                keep_time=True,
            )
        ],
    )


def from_source(made: Dashboard, uid: str) -> Dashboard:
    """The dashboard with the Prometheus data source that all its queries ask."""
    source = common.DataSourceRef(type_val="prometheus", uid=uid)
    for panel in made.panels or []:
        panel.datasource = source
        targets = panel.targets if isinstance(panel, Panel) else None
        for target in targets or []:
            if isinstance(target, Dataquery):
                target.datasource = source
    for variable in made.templating.list_val or []:
        variable.datasource = source
    return made


def _thresholds(under: str, value: float, above: str) -> ThresholdsConfig:
    steps = [dashboard.Threshold(color=under), dashboard.Threshold(value=value, color=above)]
    return ThresholdsConfig(mode=dashboard.ThresholdsMode.ABSOLUTE, steps=steps)


def _panel(
    kind: str,
    title: str,
    unit: str,
    description: str,
    queries: Sequence[Dataquery],
    *,
    size: tuple[int, int],
    options: object,
    thresholds: ThresholdsConfig | None,
    custom: object = None,
) -> Panel:
    for reference, each in zip(ascii_uppercase, queries, strict=False):
        each.ref_id = reference
    plain = ThresholdsConfig(
        mode=dashboard.ThresholdsMode.ABSOLUTE, steps=[dashboard.Threshold(color="text" if kind == "stat" else _GREEN)]
    )
    defaults = dashboard.FieldConfig(unit=unit, thresholds=thresholds or plain, custom=custom)
    width, height = size
    return Panel(
        type_val=kind,
        title=title,
        description=description,
        targets=list(queries),
        grid_pos=dashboard.GridPos(w=width, h=height),
        options=options,
        field_config=dashboard.FieldConfigSource(defaults=defaults, overrides=[]),
    )


def _placed(sections: Iterable[Row]) -> Iterator[Panel | RowPanel]:
    """Rows and panels with their number and place: from left to right, then down."""
    number, top = 0, 0
    for title, panels in sections:
        if not panels:
            continue
        number += 1
        place = dashboard.GridPos(x=0, y=top, w=_COLUMNS, h=1)
        yield RowPanel(title=title, id_val=number, grid_pos=place, panels=[])
        left, top, lowest = 0, top + 1, top + 1
        for panel in panels:
            size = panel.grid_pos or dashboard.GridPos()
            if left + size.w > _COLUMNS:
                left, top = 0, lowest
            number += 1
            panel.id_val, panel.grid_pos = number, dashboard.GridPos(x=left, y=top, w=size.w, h=size.h)
            yield panel
            left, lowest = left + size.w, max(lowest, top + size.h)
        top = lowest
