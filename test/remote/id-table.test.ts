import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { IdTable } from '../../src/remote/id-table.js'

describe('an id table', () => {
  test('behaves as a Map for growing ids, also where old ones stay', () => {
    const steps = fc.array(fc.record({ skip: fc.nat({ max: 3000 }), remove: fc.nat() }), { maxLength: 60 })
    fc.assert(
      fc.property(steps, (list) => {
        const table = new IdTable<{ readonly id: number }>()
        const model = new Map<number, { readonly id: number }>()
        let id = 0
        for (const { skip, remove } of list) {
          id += 1 + skip
          const entry = { id }
          table.add(entry)
          model.set(id, entry)
          const ids = [...model.keys()]
          const victim = ids[remove % (ids.length * 2)]
          if (victim !== undefined) {
            expect(table.delete(victim)).toBe(model.get(victim))
            model.delete(victim)
          }
          expect(table.delete(id + 1)).toBeUndefined()
          expect(table.size).toBe(model.size)
          for (const known of ids) expect(table.get(known)).toBe(model.get(known))
          expect(table.entries()).toEqual([...model.values()])
        }
        table.clear()
        expect([table.size, table.entries()]).toEqual([0, []])
      }),
    )
  })
})
