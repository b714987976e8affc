// Draws one board with Grafana's own components, from its committed JSON and the values that a recorded run gave.
//
// The packages export what lines and numbers are drawn with. Matrices and state timelines are drawn here, with the
// colours and words that Grafana's code gives their values; heat maps are left out.
import * as React from 'react';
import { createRoot } from 'react-dom/client';
import { createTheme, FieldType, getDisplayProcessor, ThemeContext, toDataFrame } from '@grafana/data';
import {
  BigValue, BigValueColorMode, BigValueGraphMode, BigValueJustifyMode, BigValueTextMode, PanelChrome, UPlotChart,
  UPlotConfigBuilder, VizLayout, VizLegend,
} from '@grafana/ui';
import {
  AxisPlacement, GraphDrawStyle, ScaleDirection, ScaleDistribution, ScaleOrientation, VisibilityMode,
} from '@grafana/schema';
import board from './board.json';

const WIDTH = 1600, COLUMN = WIDTH / 24, ROW = 38, GAP = 8;
const FAULT = 'rgba(255, 152, 48, 0.15)';
const theme = createTheme({ colors: { mode: 'dark' } });

/** One frame for each line, with the panel's unit, thresholds and words applied by Grafana. */
function frames(entry) {
  const { unit, decimals, min, max, thresholds, mappings, noValue } = entry.panel.fieldConfig.defaults;
  return entry.lines.map((line) => {
    const frame = toDataFrame({
      name: line.name,
      fields: [
        { name: 'Time', type: FieldType.time, values: line.times },
        { name: 'Value', type: FieldType.number, values: line.values },
      ],
    });
    const field = frame.fields[1];
    field.config = { unit, decimals, min, max, thresholds, mappings, noValue, displayName: line.name };
    field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
    return { field, times: line.times, isReference: line.isReference, name: line.name };
  });
}

function colour(line, index) {
  const palette = theme.visualization.palette;
  return line.isReference
    ? theme.colors.text.secondary
    : theme.visualization.getColorByName(palette[index % palette.length]);
}

function written(field, value) {
  const shown = field.display(value);
  return `${shown.prefix ?? ''}${shown.text}${shown.suffix ?? ''}`;
}

function TimeSeries({ entry, width, height }) {
  const lines = frames(entry);
  if (!lines.length) return <Nothing entry={entry} />;
  const times = [...new Set(lines.flatMap((line) => line.times))].sort((a, b) => a - b);
  const columns = lines.map((line) => {
    const values = new Map(line.times.map((time, index) => [time, line.field.values[index]]));
    return times.map((time) => values.get(time) ?? null);
  });
  const { min, max, custom } = entry.panel.fieldConfig.defaults;
  const builder = new UPlotConfigBuilder('utc');
  builder.addScale({
    scaleKey: 'x', isTime: true, orientation: ScaleOrientation.Horizontal, direction: ScaleDirection.Right,
    range: () => [board.from, board.to],
  });
  builder.addScale({
    scaleKey: 'y', orientation: ScaleOrientation.Vertical, direction: ScaleDirection.Up,
    distribution: ScaleDistribution.Linear, min, max, softMin: 0,
  });
  builder.addAxis({ scaleKey: 'x', isTime: true, placement: AxisPlacement.Bottom, timeZone: 'utc', theme });
  builder.addAxis({
    scaleKey: 'y', placement: AxisPlacement.Left, theme, formatValue: (value) => written(lines[0].field, value),
  });
  lines.forEach((line, index) => builder.addSeries({
    scaleKey: 'y', theme, drawStyle: GraphDrawStyle.Line, lineColor: colour(line, index),
    lineWidth: custom?.lineWidth ?? 1, fillOpacity: 0, showPoints: VisibilityMode.Never,
    lineStyle: line.isReference ? { fill: 'dash', dash: [6, 6] } : undefined,
  }));
  builder.addHook('drawClear', (plot) => board.faults.forEach((fault) => {
    const [left, right] = [fault.from, fault.to].map((time) => plot.valToPos(time, 'x', true));
    plot.ctx.fillStyle = FAULT;
    plot.ctx.fillRect(left, plot.bbox.top, right - left, plot.bbox.height);
  }));
  const items = lines.map((line, index) => ({ label: line.name, color: colour(line, index), yAxis: 1 }));
  const legend = (
    <VizLayout.Legend placement="bottom" maxHeight="35%">
      <VizLegend placement="bottom" displayMode="list" items={items} />
    </VizLayout.Legend>
  );
  return (
    <VizLayout width={width} height={height} legend={legend}>
      {(inner, tall) => <UPlotChart data={[times, ...columns]} width={inner} height={tall} config={builder} />}
    </VizLayout>
  );
}

function Stat({ entry, width, height }) {
  const lines = frames(entry);
  if (!lines.length) return <Nothing entry={entry} />;
  return (
    <div style={{ display: 'flex' }}>
      {lines.map((line) => (
        <BigValue
          key={line.name} theme={theme} width={width / lines.length} height={height}
          value={{ ...line.field.display(line.field.values.at(-1)), title: line.name }}
          colorMode={BigValueColorMode.Value} graphMode={BigValueGraphMode.None}
          justifyMode={BigValueJustifyMode.Auto} textMode={BigValueTextMode.ValueAndName}
        />
      ))}
    </div>
  );
}

function Matrix({ entry }) {
  const names = [...new Set(entry.cells.flatMap((cell) => [cell.node, cell.peer]))].sort();
  if (!names.length) return <Nothing entry={entry} />;
  const { unit, decimals, thresholds, mappings } = entry.panel.fieldConfig.defaults;
  const field = { name: 'value', type: FieldType.number, values: [] };
  field.config = { unit, decimals, thresholds, mappings, color: { mode: 'thresholds' } };
  const display = getDisplayProcessor({ field, theme });
  const cell = (node, peer) => {
    const found = entry.cells.find((one) => one.node === node && one.peer === peer);
    if (!found) return <td key={peer} />;
    const shown = display(found.value);
    return <td key={peer} style={{ background: shown.color }}>{`${shown.text}${shown.suffix ?? ''}`}</td>;
  };
  return (
    <table className="matrix">
      <tbody>
        <tr><th />{names.map((name) => <th key={name}>{name}</th>)}</tr>
        {names.map((node) => <tr key={node}><th>{node}</th>{names.map((peer) => cell(node, peer))}</tr>)}
      </tbody>
    </table>
  );
}

function States({ entry, height }) {
  const lines = frames(entry);
  if (!lines.length) return <Nothing entry={entry} />;
  const place = (time) => `${(100 * (time - board.from)) / (board.to - board.from)}%`;
  const row = Math.min(28, height / lines.length);
  return lines.map((line) => (
    <div key={line.name} className="states" style={{ height: row }}>
      <span>{line.name}</span>
      <div>
        {line.times.map((time, index) => (
          <i
            key={time}
            style={{
              left: place(time), width: place(board.from + 1050),
              background: line.field.display(line.field.values[index]).color,
            }}
          />
        ))}
      </div>
    </div>
  ));
}

function Nothing({ entry }) {
  return <div className="nothing">{entry.panel.fieldConfig.defaults.noValue}</div>;
}

function Left() {
  return <div className="nothing">a heat map: drawn by Grafana alone</div>;
}

const SHAPES = { timeseries: TimeSeries, stat: Stat, table: Matrix, 'state-timeline': States };

function Panel({ entry }) {
  const { x, y, w, h } = entry.panel.gridPos;
  const [width, height] = [w * COLUMN - GAP, h * ROW - GAP];
  const Shape = SHAPES[entry.panel.type] ?? Left;
  return (
    <div style={{ position: 'absolute', left: x * COLUMN, top: y * ROW, width, height }}>
      <PanelChrome title={entry.panel.title} description={entry.panel.description} width={width} height={height}>
        {(inner, tall) => <Shape entry={entry} width={inner} height={tall} />}
      </PanelChrome>
    </div>
  );
}

createRoot(document.getElementById('root')).render(
  <ThemeContext.Provider value={theme}>
    {board.panels.map((entry) => <Panel key={entry.panel.id} entry={entry} />)}
  </ThemeContext.Provider>,
);
