// Asks for the lines of a panel before they are used. From memory, not from a cache, a matrix comes faster so: many lines
// are under way at a time, which a product's own loop does not get. What was read goes to the first bytes of memory,
// which nobody reads, so that compilers leave the loads in.

@inline
export function touch(from: usize, bytes: usize): void {
  let seen = i32x4.splat(0);
  for (const end = from + bytes; from < end; from += 256) {
    seen = v128.or(seen, v128.or(v128.load(from), v128.load(from, 64)));
    seen = v128.or(seen, v128.or(v128.load(from, 128), v128.load(from, 192)));
  }
  v128.store(0, seen);
}
