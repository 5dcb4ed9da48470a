export async function main(): Promise<number> {
  void Promise.resolve(1);
  g();
  return 0;
}
async function g(): Promise<void> {}
