import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { writeCanonical } from '../src/canonical.js';
import { canonical } from '../src/objects.js';

test('the canonical text in pieces is the canonical text', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.boolean(), (value, absent) => {
      const given = absent ? { value, absent: undefined, list: [undefined, value] } : value;
      const pieces: string[] = [];
      writeCanonical(given, (text) => pieces.push(text));
      assert.equal(pieces.join(''), canonical(given));
    }),
  );
  const long = Array.from({ length: 5000 }, (_, n) => `object-${n}`);
  const pieces: string[] = [];
  writeCanonical({ long }, (text) => pieces.push(text));
  assert.ok(pieces.length > 2);
  assert.equal(pieces.join(''), canonical({ long }));
});
