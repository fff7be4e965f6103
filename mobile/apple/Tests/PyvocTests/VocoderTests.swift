// `swift test` with PYVOC_VOICE=.../default.gguf: whole and in pieces are the same samples.
import Foundation
import XCTest

import Pyvoc

final class VocoderTests: XCTestCase {
  func testStreamIsWhole() throws {
    guard let path = ProcessInfo.processInfo.environment["PYVOC_VOICE"] else {
      throw XCTSkip("PYVOC_VOICE names no model")
    }
    let voice = try Vocoder(contentsOf: URL(fileURLWithPath: path))
    let rate = Float(voice.info.sampleRate)
    let pcm = (0..<8000).map { 0.2 * sin(2 * .pi * 130 * Float($0) / rate) }
    let (features, dims) = try voice.features(pcm)
    let whole = try voice.synthesize(features, dims: dims, seed: 7)
    XCTAssertEqual(whole.count, features.count / dims * voice.info.hopLength)
    let stream = try voice.stream(seed: 7)
    var pieces: [Float] = []
    for frame in stride(from: 0, to: features.count, by: dims) {
      try stream.push(Array(features[frame..<frame + dims]), dims: dims)
      pieces += try stream.pull(stream.available)
    }
    try stream.flush()
    pieces += try stream.pull(whole.count)
    XCTAssertEqual(pieces, whole)
  }

  func testDamagedModelIsRefused() {
    XCTAssertThrowsError(try Vocoder(data: Data(count: 64)))
  }
}
