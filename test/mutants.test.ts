import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blanked, mutantsOf, survivors } from './mutate-checks.js';

/** Changes that change nothing, and why. */
const EQUIVALENT: Record<string, string> = {
  'clocks > → >=': 'a clock that is off by nothing is not off',
  'allow-lists < → <=': 'no host is there twice',
  'removed-apis && → ||': 'of null, and of what is no object, no field is read',
  'plugins && → ||': 'flags that nobody compares may be remembered',
  'velero < → <=': 'releases that are not apart have no finding',
};

test('a condition of a check that is turned round makes a case fail', async (t) => {
  const { mutants, survivors: left } = await survivors();
  t.diagnostic(
    `${mutants} mutants, ${left.length} survived, of which ${Object.keys(EQUIVALENT).length} change nothing`,
  );
  const named = left.map((it) => ({ ...it, is: `${it.check} ${it.change.replace(/ at .*/s, '')}` }));
  assert.deepEqual(
    named.filter((it) => !(it.is in EQUIVALENT)),
    [],
  );
  assert.equal(
    left.length,
    Object.keys(EQUIVALENT).length,
    'one that is called equivalent is noticed after all, or two go by one name',
  );
  assert.ok(mutants > 1000);
});

test('strings, comments and regular expressions are no code, and what stands in a template’s braces is', () => {
  const code =
    "if (a && /* && */ 'b && c' + `d && ${e && f({ g: ` && ${h || i}` })} &&`) x = /&& [/&&]/.test(j); // && ";
  const bare = blanked(code);
  assert.equal(bare.length, code.length);
  assert.equal([...bare.matchAll(/&&/g)].length, 2);
  assert.equal([...bare.matchAll(/\|\|/g)].length, 1);
});

test('each place is changed by itself, and filters and conditions as a whole', () => {
  const changes = mutantsOf('x', 'if (a.some((it) => it > 1)) return b.filter((it) => it === 2 && f(it));').map(
    (it) => it.text,
  );
  assert.deepEqual(changes.sort(), [
    'if (!(a.some((it) => it > 1))) return b.filter((it) => it === 2 && f(it));',
    'if (a.every((it) => it > 1)) return b.filter((it) => it === 2 && f(it));',
    'if (a.some((it) => it > 1)) return b.filter(((f) => (...all) => !f(...all))((it) => it === 2 && f(it)));',
    'if (a.some((it) => it > 1)) return b.filter((it) => it !== 2 && f(it));',
    'if (a.some((it) => it > 1)) return b.filter((it) => it === 2 || f(it));',
    'if (a.some((it) => it >= 1)) return b.filter((it) => it === 2 && f(it));',
  ]);
});
