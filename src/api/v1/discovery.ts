const PAGED = {
  nextPageToken: { type: 'string', location: 'query' },
} as const;
const NAME = { unitName: { type: 'string', location: 'path', required: true } } as const;
const text = { type: 'string' } as const;
const listOf = (schema: string) => ({ type: 'array', items: { $ref: schema } }) as const;
const page = (id: string, field: string, schema: string) => ({
  id,
  type: 'object',
  properties: { [field]: listOf(schema), nextPageToken: text },
});

const SCHEMAS = {
  Machine: {
    id: 'Machine',
    type: 'object',
    properties: {
      id: { type: 'string', required: true },
      primaryIP: text,
      metadata: { type: 'object', properties: {}, additionalProperties: text },
    },
  },
  MachinePage: page('MachinePage', 'machines', 'Machine'),
  UnitOption: { id: 'UnitOption', type: 'object', properties: { section: text, name: text, value: text } },
  Unit: {
    id: 'Unit',
    type: 'object',
    properties: {
      name: text,
      options: listOf('UnitOption'),
      desiredState: { type: 'string', enum: ['inactive', 'loaded', 'launched'] },
      currentState: { type: 'string', enum: ['inactive', 'loaded', 'launched'] },
      machineID: { type: 'string', required: true },
    },
  },
  UnitPage: page('UnitPage', 'units', 'Unit'),
  UnitState: {
    id: 'UnitState',
    type: 'object',
    properties: {
      name: text,
      hash: text,
      machineID: text,
      systemdLoadState: text,
      systemdActiveState: text,
      systemdSubState: text,
    },
  },
  UnitStatePage: page('UnitStatePage', 'states', 'UnitState'),
};

const METHODS = {
  Machines: {
    List: {
      id: 'fleet.Machine.List',
      description: 'Retrieve a page of Machine objects.',
      httpMethod: 'GET',
      path: 'machines',
      parameters: PAGED,
      response: { $ref: 'MachinePage' },
    },
  },
  Units: {
    List: {
      id: 'fleet.Unit.List',
      description: 'Retrieve a page of Unit objects.',
      httpMethod: 'GET',
      path: 'units',
      parameters: PAGED,
      response: { $ref: 'UnitPage' },
    },
    Get: {
      id: 'fleet.Unit.Get',
      description: 'Retrieve a single Unit object.',
      httpMethod: 'GET',
      path: 'units/{unitName}',
      parameters: NAME,
      parameterOrder: ['unitName'],
      response: { $ref: 'Unit' },
    },
    Set: {
      id: 'fleet.Unit.Set',
      description: 'Create or update a Unit.',
      httpMethod: 'PUT',
      path: 'units/{unitName}',
      parameters: NAME,
      parameterOrder: ['unitName'],
      request: { $ref: 'Unit' },
    },
    Delete: {
      id: 'fleet.Unit.Delete',
      description: 'Delete the referenced Unit object.',
      httpMethod: 'DELETE',
      path: 'units/{unitName}',
      parameters: NAME,
      parameterOrder: ['unitName'],
    },
  },
  UnitState: {
    List: {
      id: 'fleet.UnitState.List',
      description: 'Retrieve a page of UnitState objects.',
      httpMethod: 'GET',
      path: 'state',
      parameters: { ...PAGED, unitName: text, machineID: text },
      response: { $ref: 'UnitStatePage' },
    },
    Get: {
      id: 'fleet.UnitState.Get',
      description: 'Retrieve the UnitState of a unit.',
      httpMethod: 'GET',
      path: 'state/{unitName}',
      parameters: NAME,
      parameterOrder: ['unitName'],
      response: { $ref: 'UnitState' },
    },
  },
};

/** The description of the API that programs can read: a discovery document of Google's format, version 1. */
export const DISCOVERY = {
  kind: 'discovery#restDescription',
  discoveryVersion: 'v1',
  id: 'fleet:v1',
  name: 'schema',
  version: 'v1',
  title: 'fleet API',
  description: 'Units, their states, and machines of a cluster.',
  protocol: 'rest',
  rootUrl: '/',
  servicePath: 'fleet/v1/',
  basePath: '/fleet/v1/',
  batchPath: 'batch',
  parameters: {},
  schemas: SCHEMAS,
  resources: Object.fromEntries(Object.entries(METHODS).map(([name, methods]) => [name, { methods }])),
};
