/// Where `part` occurs last in `text`: the index of its first element; nil when it does not occur, or is empty.
///
/// Knuth, Morris and Pratt's search, from the end: linear whatever the two hold, because both come from clients.
package func lastOccurrence<Element: Equatable>(of part: ArraySlice<Element>, in text: ArraySlice<Element>) -> Int? {
    guard !part.isEmpty, part.count <= text.count else { return nil }
    // Both are looked at backwards: `wanted(0)` is the last element of `part`.
    let last = part.endIndex - 1
    func wanted(_ index: Int) -> Element { part[last - index] }
    /// Of the first `n + 1` wanted elements: how many at their end are also at their beginning, all of them excepted.
    var borders = [Int32](repeating: 0, count: part.count)
    var matched = 0
    for index in borders.indices.dropFirst() {
        while matched > 0, wanted(index) != wanted(matched) { matched = Int(borders[matched - 1]) }
        if wanted(index) == wanted(matched) { matched += 1 }
        borders[index] = Int32(matched)
    }
    matched = 0
    for place in text.indices.reversed() {
        while matched > 0, text[place] != wanted(matched) { matched = Int(borders[matched - 1]) }
        if text[place] == wanted(matched) { matched += 1 }
        if matched == part.count { return place }
    }
    return nil
}
