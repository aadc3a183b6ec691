import { type DnsRecord, type DnsState, fullName, setKey } from './state.js';

/** What the authority answers to one question. */
export interface DnsAnswer {
  ttlS: number;
  /** addresses, in the order in which they are given */
  values: string[];
}

const LINE = 'default';
const LONGEST_CHAIN = 8;

/**
 * By weight one record; without weights all of them, beginning with another one each time, and of CNAMEs one. A CNAME is followed as far
 * as the account's own domains go.
 *
 * @param draw  from 0 to below 1
 * @source https://www.alibabacloud.com/help/en/dns/pubz-weight-configuration
 */
export function answerTo(
  state: DnsState,
  name: string,
  type: 'A' | 'AAAA',
  draw: () => number,
  links = 0,
): DnsAnswer | undefined {
  const wanted = name.toLowerCase().replace(/\.$/, '');
  const found = [...state.records.values()].filter(
    (it) => it.status === 'ENABLE' && it.line === LINE && fullName(it) === wanted,
  );
  const aliases = found.filter((it) => it.type === 'CNAME');
  const records = aliases.length > 0 ? aliases : found.filter((it) => it.type === type);
  const [first] = records;
  if (!first) return undefined;
  const byWeight = state.weighted.has(setKey(first));
  if (first.type === 'CNAME') {
    const chosen = byWeight ? weighed(records, draw()) : records[Math.floor(draw() * records.length)];
    const next = chosen && links < LONGEST_CHAIN ? answerTo(state, chosen.value, type, draw, links + 1) : undefined;
    return chosen && next && { ttlS: Math.min(chosen.ttlS, next.ttlS), values: next.values };
  }
  if (byWeight) {
    const chosen = weighed(records, draw());
    return chosen && { ttlS: chosen.ttlS, values: [chosen.value] };
  }
  const start = Math.floor(draw() * records.length);
  return {
    ttlS: Math.min(...records.map((it) => it.ttlS)),
    values: records.map((_, index) => records[(start + index) % records.length]!.value),
  };
}

function weighed(records: readonly DnsRecord[], draw: number): DnsRecord | undefined {
  let left = draw * records.reduce((sum, it) => sum + it.weight, 0);
  return records.find((it) => (left -= it.weight) < 0) ?? records.at(-1);
}
