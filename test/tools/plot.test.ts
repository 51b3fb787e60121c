import { describe, expect, it } from 'vitest';
import { curves, plot } from '../../tools/plot.ts';

describe('a plot', () => {
  it('has each panel from zero to a round number', () => {
    const svg = plot('minutes', [0, 1, 2], [{ title: 'a', values: [3, 4, 5] }]);
    expect(svg).toContain('points="64.0,');
    expect(svg).toContain('>5</text>');
    expect(svg).toContain('704.0,26.0');
  });

  it('draws curves from few false alarms to many, each decade as wide', () => {
    const svg = curves({ x: 'per hour', y: 'missed' }, [
      { name: 'one', points: [[99, 0], [0, 10], [9, 5]] }, // prettier-ignore
    ]);
    const [, points] = /polyline points="([^"]*)"/.exec(svg) ?? [];
    const [first, second, third] = points.split(' ').map((point) => point.split(',').map(Number));
    expect(second[0] - first[0]).toBeCloseTo(third[0] - second[0], 1);
    expect(second[1] - first[1]).toBeCloseTo(third[1] - second[1], 1);
    expect(first[1]).toBeLessThan(third[1]);
  });
});
