import Platform
import TestSupport
import Testing

@Suite struct FileAppenderTests {
    @Test func `a file appears whole when it is committed, and not before`() throws {
        let folder = ScratchFolder()
        folder.write("a", "old")
        do {
            var file = try FileAppender(path: folder.path + "/a")
            try file.append(Array("new".utf8).rawSpan)
            #expect(folder.names() == ["a"])
        }
        #expect(try folder.read("a") == Array("old".utf8) && folder.names() == ["a"])
        var file = try FileAppender(path: folder.path + "/a")
        try file.appendZeros(3_000_001)
        try file.append([1, 2, 3].rawSpan)
        try file.append([9, 9].rawSpan)
        try file.rewind(to: file.count - 2)
        try file.replace(at: 1, with: [7].rawSpan)
        #expect(file.count == 3_000_004)
        var expected = [UInt8](repeating: 0, count: 3_000_001) + [1, 2, 3]
        expected[1] = 7
        #expect(try file.digest(of: 0..<file.count) == Digest(of: expected.rawSpan))
        #expect(try file.digest(of: 3_000_001..<3_000_004) == Digest(of: [1, 2, 3].rawSpan))
        #expect(try file.digest(of: 5..<5) == Digest(of: ""))
        try file.commit()
        #expect(folder.names() == ["a"])
        #expect(try folder.read("a") == expected)
    }

    @Test func `an empty file may be committed, a folder that is missing is named`() throws {
        let folder = ScratchFolder()
        let empty = try FileAppender(path: folder.path + "/empty")
        try empty.commit()
        #expect(try folder.read("empty") == [])
        let error = #expect(throws: FileError.self) { _ = try FileAppender(path: folder.path + "/absent/file") }
        #expect(error?.path == folder.path + "/absent/file")
    }
}

@Suite struct FolderPathTests {
    @Test func `a path is resolved as far as it exists`() throws {
        let folder = ScratchFolder()
        let root = Folder.canonical(folder.path)
        try Folder.create(folder.path + "/a/b")
        #expect(Folder.canonical(folder.path + "/a/../a/b/") == root + "/a/b")
        #expect(Folder.canonical(folder.path + "/a/../a/new") == root + "/a/new")
        #expect(Folder.canonical(folder.path + "/new/") == root + "/new")
        #expect(Folder.canonical(folder.path + "/new/er") == root + "/new/er")
        #expect(Folder.canonical("/absent-at-the-root") == "/absent-at-the-root")
        #expect(Folder.canonical("absent-here") == Folder.canonical(".") + "/absent-here")
        #expect(Folder.holdsFile(folder.write("f", "")) && !Folder.holdsFile(folder.path) && !Folder.holdsFile(folder.path + "/absent"))
    }

    @Test func `a digest is read from what it is written as and from nothing else`() {
        let digest = Digest(of: "a")
        #expect(Digest(digest.description) == digest)
        for text in ["", "0", digest.description + "0", digest.description.uppercased(), "+" + digest.description.dropFirst(), String(repeating: "é", count: 16)] {
            #expect(Digest(text) == nil, "\(text)")
        }
    }
}
