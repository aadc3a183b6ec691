import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import type { Action, Context } from '../product.js';
import { isSold, zonesOf } from '../regions.js';
import { CATEGORIES, type Category } from './categories.js';

const SYSTEM_DISK: Category = { minGiB: 20, maxGiB: 2048 };

type Range = [name: string, sizes: Category | undefined];

/** What a zone could sell of a kind, with its sizes where it has any. */
const KINDS: Readonly<Record<string, readonly Range[]>> = {
  Zone: [],
  IoOptimized: [['optimized', undefined]],
  Network: [['vpc', undefined]],
  DataDisk: Object.entries(CATEGORIES),
  SystemDisk: Object.keys(CATEGORIES)
    .filter((it) => !it.startsWith('elastic_ephemeral'))
    .map((it): Range => [it, SYSTEM_DISK]),
};

const status = (sold: boolean): Json => ({
  Status: sold ? 'Available' : 'SoldOut',
  StatusCategory: sold ? 'WithStock' : 'WithoutStock',
});

interface Asked {
  kind: string;
  /** undefined: all of the kind */
  name: string | undefined;
  instanceType: string | undefined;
}

/** What the instance type doesn't take isn't listed; what the zone doesn't sell is, as sold out. */
const supported = (zone: string, { kind, name: asked, instanceType = '' }: Asked, { state }: Context): Json[] =>
  KINDS[kind]!.filter(
    ([name, sizes]) =>
      (asked ?? name) === name && (!sizes || (state.instanceTypes.get(instanceType)?.has(name) ?? true)),
  ).map(([name, sizes]) => ({
    Value: name,
    ...status(isSold(zone, name, state)),
    ...(sizes ? { Min: sizes.minGiB, Max: sizes.maxGiB, Unit: 'GiB' } : {}),
  }));

export const availableActions: Record<string, Action> = {
  /** System disks depend on an instance type, which must be named for them. Types of instances themselves are not told. */
  DescribeAvailableResource: {
    requires: ['RegionId', 'DestinationResource'],
    run(parameters, context) {
      const region = parameters.required('RegionId');
      const kind = parameters.oneOf('DestinationResource', Object.keys(KINDS))!;
      parameters.oneOf('ResourceType', ['instance', 'disk', 'reservedinstance', 'ddh']);
      parameters.oneOf('InstanceChargeType', ['PostPaid', 'PrePaid']);
      const what = { kind, name: parameters.text(`${kind}Category`), instanceType: parameters.text('InstanceType') };
      if (kind === 'SystemDisk' && what.instanceType === undefined)
        refuse(400, 'MissingParameter', 'The input parameter "InstanceType" is mandatory.');
      const asked = parameters.text('ZoneId');
      const all = zonesOf(context.state, region);
      if (asked !== undefined && !all.includes(asked))
        refuse(404, 'InvalidZoneId.NotFound', 'The specified ZoneId does not exist.');
      return {
        AvailableZones: {
          AvailableZone: all
            .filter((it) => (asked ?? it) === it)
            .map((zone) => ({
              RegionId: region,
              ZoneId: zone,
              ...status(isSold(zone, '*', context.state)),
              AvailableResources: {
                AvailableResource:
                  kind === 'Zone'
                    ? []
                    : [
                        {
                          Type: kind,
                          SupportedResources: { SupportedResource: supported(zone, what, context) },
                        },
                      ],
              },
            })),
        },
      };
    },
  },
};
