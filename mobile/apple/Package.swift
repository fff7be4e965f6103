// swift-tools-version:5.7
// Pyvoc for Swift, over the framework that scripts/build_xcframework.sh puts beside this file. See
// docs/mobile.md: nobody has compiled this yet.
import PackageDescription

let package = Package(
  name: "Pyvoc",
  platforms: [.iOS(.v13), .macOS(.v11)],
  products: [.library(name: "Pyvoc", targets: ["Pyvoc"])],
  targets: [
    .binaryTarget(name: "CPyvoc", path: "CPyvoc.xcframework"),
    .target(name: "Pyvoc", dependencies: ["CPyvoc"]),
    .testTarget(name: "PyvocTests", dependencies: ["Pyvoc"]),
  ]
)
