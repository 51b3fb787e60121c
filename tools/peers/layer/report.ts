import type { Rows } from '../../terminal.ts';
import type { LayerFigures } from './turns.ts';

export interface LayerOutcome {
  /** Of the peers, by name. */
  versions: Readonly<Record<string, string>>;
  figures: LayerFigures[];
}

/** One layer: medians and p10, and each one's step beside the first's. */
export function layerSection({ figures }: LayerOutcome): Rows {
  const [own] = figures;
  const row = ({ name, forward, step, counts, ...rest }: LayerFigures) => [
    name,
    ...[forward, step].map((each) => (each ? `${each.medianMs.toFixed(0)} (${each.p10Ms.toFixed(0)})` : '–')),
    step && own.step ? (step.medianMs / own.step.medianMs).toFixed(2) : (rest.problem ?? '–'),
    step && own.step ? (step.p10Ms / own.step.p10Ms).toFixed(2) : '–',
    rest.coldMs?.toFixed(0) ?? '–',
    counts ? `${counts.dispatches} in ${counts.submits}` : '–',
    rest.largestDifference?.toExponential(1) ?? '–',
  ];
  return [
    ['', 'forward ms', 'step ms', 'times Rill', 'of p10', 'cold ms', 'dispatches in submits', 'losses differ by'],
    ...figures.map(row),
  ];
}
