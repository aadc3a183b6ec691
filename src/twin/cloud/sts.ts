import type { Product } from './product.js';

/** Security Token Service: only who one is. */
export const sts: Product = {
  name: 'Sts',
  version: '2015-04-01',
  actions: {
    GetCallerIdentity: {
      run: (_, { state }) => ({
        AccountId: '1234567890123456',
        UserId: '200000000000000001',
        PrincipalId: '200000000000000001',
        IdentityType: 'RAMUser',
        Arn: `acs:ram::1234567890123456:user/${state.region}`,
      }),
    },
  },
};
