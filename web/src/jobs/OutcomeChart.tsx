/// Outcomes over time. Loaded only where a run is shown, since the chart library is large.
import { AreaChart } from '@mantine/charts';
import '@mantine/charts/styles.css';
import { formatSpan } from '../components/Time';
import type { Sample } from './outcomes';

const SERIES: { name: 'done' | 'failed' | 'unknown'; label: string; color: string }[] = [
  // From the ground up: what failed stands where it is seen, however little it is.
  { name: 'failed', label: 'Failed', color: 'red.7' },
  { name: 'unknown', label: 'Unknown', color: 'grape.6' },
  { name: 'done', label: 'Done', color: 'teal.7' },
];

export default function OutcomeChart({ samples }: { samples: Sample[] }) {
  const from = samples[0]?.at ?? 0;
  // What never happened would only draw a line over what did.
  const series = SERIES.filter(({ name }) => name === 'done' || (samples.at(-1)?.[name] ?? 0) > 0);
  const data = samples.map((sample) => ({ ...sample, at: sample.at - from }));
  return (
    <AreaChart
      // The library stacks in the order in which areas appeared, so one that joins later would go on top.
      key={series.map(({ name }) => name).join()}
      h={220}
      data={data}
      dataKey="at"
      type="stacked"
      series={series}
      curveType="linear"
      withDots={false}
      withLegend
      fillOpacity={0.5}
      xAxisProps={{ type: 'number', domain: ['dataMin', 'dataMax'], tickFormatter: (ms: number) => formatSpan(ms) }}
      yAxisProps={{ allowDecimals: false }}
      tooltipProps={{ labelFormatter: (ms) => `after ${formatSpan(Number(ms))}` }}
      areaProps={{ isAnimationActive: false }}
    />
  );
}
