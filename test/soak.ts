import { diskStorm } from './disk-kills.js';
import { calmWays, storm } from './faults.js';

/** Each seed is two moves: a shop with its traffic, and disks to another region. `npm run soak` draws 3,000 seeds; `npm run soak -- 17 99` replays those; `npm run soak -- 1..500` a range. */
const asked = process.argv.slice(2).flatMap((it) => {
  const [from = '', to = from] = it.split('..');
  return Array.from({ length: Number(to) - Number(from) + 1 }, (_, index) => Number(from) + index);
});
const seeds = asked.length > 0 ? asked : Array.from({ length: 3000 }, (_, index) => index + 1);

const ways = await calmWays();
let failed = 0;
for (const [index, seed] of seeds.entries()) {
  const wrong = [...(await storm(seed, ways)), ...(await diskStorm(seed)).map((it) => `disks: ${it}`)];
  for (const it of wrong) console.log(`seed ${seed}: ${it}`);
  if (wrong.length > 0) failed++;
  if ((index + 1) % 100 === 0) console.log(`${index + 1} of ${seeds.length} seeds, ${failed} failed`);
}
console.log(`${seeds.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
