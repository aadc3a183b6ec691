import { refuse } from '../errors.js';
import { pageOf } from '../paging.js';
import { invalid } from '../parameters.js';
import type { Action } from '../product.js';
import { findDomain, findRecord, mustBeFree, splitSubDomain } from './find.js';
import { fullName, setKey, setOf, WEIGHTED_TYPES } from './state.js';

export const weightActions: Record<string, Action> = {
  /** Without Line for every line of the name. */
  SetDNSSLBStatus: {
    requires: ['SubDomain'],
    run(parameters, context) {
      const full = parameters.required('SubDomain');
      const { dns } = context.state;
      // The domain itself is written with its `@`.
      if (dns.domains.has(full.toLowerCase())) invalid('SubDomain');
      const { rr, domain } = splitSubDomain({ ...parameters, required: () => full.replace(/^@\./, '') }, context);
      const type = (parameters.text('Type') ?? 'A').toUpperCase();
      if (type !== 'A' && type !== 'AAAA') invalid('Type');
      const open = parameters.flag('Open') ?? true;
      const line = parameters.text('Line');
      const found = [...dns.records.values()].filter(
        (it) => it.domain === domain && it.rr === rr && it.type === type && (line ?? it.line) === it.line,
      );
      const sets = new Map(found.map((it) => [setKey(it), setOf(dns, it)]));
      if (open && ![...sets.values()].some((it) => it.length > 1))
        refuse(400, 'SubDomainInvalid.Operation', 'The subdomain has fewer than two records to be weighed.');
      for (const [key, records] of sets) {
        if (!open) dns.weighted.delete(key);
        else if (records.length > 1) dns.weighted.add(key);
      }
      return { Open: open, RecordCount: found.length };
    },
  },

  UpdateDNSSLBWeight: {
    requires: ['RecordId', 'Weight'],
    run(parameters, context) {
      const record = findRecord(parameters, context);
      const text = parameters.required('Weight');
      const weight = /^\d+$/.test(text) ? Number(text) : 0;
      if (weight < 1 || weight > 100) refuse(400, 'InvalidWeigth', 'The weigth value is invalid.');
      mustBeFree(record);
      if (record.status === 'DISABLE') refuse(400, 'DomainRecordDisable', 'The domain record is disable.');
      if (record.rr.startsWith('*')) refuse(400, 'PanDomainRecord', 'The domain record is Pan domain record.');
      if (!context.state.dns.weighted.has(setKey(record)))
        refuse(400, 'DisableDNSSLB', "The subdomain's DNS SLB status is closed.");
      record.weight = weight;
      return { RecordId: record.id, Weight: weight };
    },
  },

  DescribeDNSSLBSubDomains: {
    requires: ['DomainName'],
    run(parameters, context) {
      const { name } = findDomain(parameters, context);
      const { dns } = context.state;
      const rr = parameters.text('Rr');
      const rows = new Map<
        string,
        { SubDomain: string; Type: string; RecordCount: number; lines: Map<string, boolean> }
      >();
      for (const it of dns.records.values()) {
        if (it.domain !== name || (rr ?? it.rr) !== it.rr || !WEIGHTED_TYPES.includes(it.type)) continue;
        if (setOf(dns, it).length < 2) continue;
        const key = `${fullName(it)}|${it.type}`;
        const row = rows.get(key) ?? { SubDomain: fullName(it), Type: it.type, RecordCount: 0, lines: new Map() };
        rows.set(key, row);
        row.RecordCount += 1;
        row.lines.set(it.line, dns.weighted.has(setKey(it)));
      }
      const page = pageOf([...rows.values()], parameters, { size: 20, maxSize: 100 });
      return {
        ...page.fields,
        SlbSubDomains: {
          SlbSubDomain: page.items.map(({ lines, ...rest }) => ({
            ...rest,
            Open: [...lines.values()].some(Boolean),
            LineAlgorithms: { LineAlgorithm: [...lines].map(([Line, Open]) => ({ Line, Open })) },
          })),
        },
      };
    },
  },
};
