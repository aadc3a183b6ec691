import { pageOf } from './paging.js';
import type { Action, Product } from './product.js';
import { findDomain } from './alidns/find.js';
import { recordActions } from './alidns/records.js';
import { type Domain, EDITIONS } from './alidns/state.js';
import { weightActions } from './alidns/weights.js';

const SERVERS = ['ns1.alidns.com', 'ns2.alidns.com'];

const fields = ({ name, edition }: Domain) => ({
  DomainName: name,
  DomainId: `domain-${name}`,
  VersionCode: edition,
  AliDomain: true,
  DnsServers: { DnsServer: SERVERS },
});

const domainActions: Record<string, Action> = {
  DescribeDomains: {
    run(parameters, { state }) {
      const wanted = parameters.text('KeyWord') ?? '';
      const page = pageOf(
        [...state.dns.domains.values()].filter((it) => it.name.includes(wanted)),
        parameters,
        { size: 20 },
      );
      return { ...page.fields, Domains: { Domain: page.items.map(fields) } };
    },
  },

  DescribeDomainInfo: {
    requires: ['DomainName'],
    run(parameters, context) {
      const domain = findDomain(parameters, context);
      return { ...fields(domain), MinTtl: EDITIONS[domain.edition].minTtlS };
    },
  },
};

/** Alibaba Cloud DNS: records of public domains, and their weights. */
export const alidns: Product = {
  name: 'Alidns',
  version: '2015-01-09',
  actions: { ...domainActions, ...recordActions, ...weightActions },
};
