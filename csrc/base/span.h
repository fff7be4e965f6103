// Views of memory that somebody else owns: Span<T> (1-D) and Matrix<T> (row-major 2-D with a
// stride).
#ifndef PYVOC_BASE_SPAN_H_
#define PYVOC_BASE_SPAN_H_

#include <cassert>
#include <cstddef>

namespace pyvoc {

template <typename T>
class Span {
 public:
  constexpr Span() = default;
  constexpr Span(T* data, std::size_t size) : data_(data), size_(size) {}
  template <typename Container,
            typename = decltype(static_cast<T*>(static_cast<Container*>(nullptr)->data()))>
  constexpr Span(Container& c) : data_(c.data()), size_(c.size()) {}

  constexpr T* data() const { return data_; }
  constexpr std::size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr T* begin() const { return data_; }
  constexpr T* end() const { return data_ + size_; }
  T& operator[](std::size_t i) const {
    assert(i < size_);
    return data_[i];
  }
  Span subspan(std::size_t offset, std::size_t count) const {
    assert(offset <= size_ && count <= size_ - offset);
    return Span(data_ + offset, count);
  }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

template <typename T>
class Matrix {
 public:
  Matrix() = default;
  Matrix(T* data, std::size_t rows, std::size_t cols, std::size_t stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride) {}
  Matrix(T* data, std::size_t rows, std::size_t cols) : Matrix(data, rows, cols, cols) {}

  T* data() const { return data_; }
  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  std::size_t stride() const { return stride_; }
  Span<T> operator[](std::size_t row) const {
    assert(row < rows_);
    return Span<T>(data_ + row * stride_, cols_);
  }

 private:
  T* data_ = nullptr;
  std::size_t rows_ = 0, cols_ = 0, stride_ = 0;
};

}  // namespace pyvoc
#endif  // PYVOC_BASE_SPAN_H_
