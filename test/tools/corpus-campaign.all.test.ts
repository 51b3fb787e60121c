import { describe, expect, it } from 'vitest';
import { runCampaign } from '../../tools/corpus-campaign/campaign.ts';

describe('bench:corpus', () => {
  it('finds every line the same in one process, by workers, and by workers that are killed', async () => {
    const options = { files: 120, workers: 2, kills: 3, killSeconds: 4, onNote: () => undefined };
    const { kills, setAside, wrong, files } = await runCampaign(options);
    expect(kills).toBeGreaterThan(0);
    expect({ files, setAside, wrong }).toEqual({ files: 120, setAside: 0, wrong: { byWorkers: 0, withKills: 0 } });
  });
});
