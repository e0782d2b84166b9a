export async function makeReport(_folder: string): Promise<void> {}
