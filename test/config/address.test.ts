import { describe, expect, it } from 'vitest';
import { endPoint, formatAddress, parseAddress } from '../../src/config/address.ts';

describe('parseAddress and formatAddress', () => {
  it.each([
    ['an IPv4 address', '10.1.1.1', { host: '10.1.1.1', port: undefined }],
    ['an IPv4 address and port', '10.1.1.1:1', { host: '10.1.1.1', port: 1 }],
    ['a name', 'web-1.example', { host: 'web-1.example', port: undefined }],
    ['a name with _, digits and a final dot', '3_a.example.', { host: '3_a.example.', port: undefined }],
    ['a name and the highest port', 'a:65535', { host: 'a', port: 65_535 }],
    ['an IPv6 address', '::1', { host: '::1', port: undefined }],
    ['an IPv6 address and port', '[2001:db8::1]:2222', { host: '2001:db8::1', port: 2222 }],
    ['an IPv4 address within IPv6', '::ffff:10.0.0.1', { host: '::ffff:10.0.0.1', port: undefined }],
    ['the longest label', 'a'.repeat(63), { host: 'a'.repeat(63), port: undefined }],
  ])('agree on %s', (_, text, address) => {
    expect(parseAddress(text)).toEqual(address);
    expect(formatAddress(address)).toBe(text);
  });

  it.each([
    ['nothing', ''],
    ['a blank', ' a'],
    ['a port alone', ':22'],
    ['a port with a leading zero', 'a:022'],
    ['a port with a sign', 'a:+22'],
    ['a number', '1234'],
    ['an IPv4 address with a leading zero', '010.0.0.1'],
    ['a name that is too long', Array(64).fill('abc').join('.')],
    ['a name in brackets', '[a]'],
    ['empty brackets', '[]:22'],
    ['two ports', '[::1]:22:23'],
    ['a line end', 'a\n'],
  ])('there is none in %s', (_, text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe('endPoint', () => {
  it.each([
    ['letter case does not matter', 'Web.Example', 'web.example', true],
    ['nor does a final dot', 'web.example.', 'web.example', true],
    ['nor how an IPv6 address is shortened', 'FD00:0:0::1', 'fd00::1', true],
    ['an IPv6 zone does', 'fe80::1%eth0', 'fe80::1%eth1', false],
    ['a name and its short form may be two machines', 'web.example', 'web', false],
  ])('%s', (_, one, other, equal) => {
    expect(endPoint(one, 22) === endPoint(other, 22)).toBe(equal);
    expect(endPoint(one, 22) === endPoint(other, 23)).toBe(false);
  });
});
