// y += x
//
//   x, y: f32 (count), count a multiple of 4

export function add(x: usize, y: usize, count: i32): void {
  const end = y + (<usize>count << 2);
  for (; y < end; x += 16, y += 16) {
    v128.store(y, f32x4.add(v128.load(y), v128.load(x)));
  }
}
