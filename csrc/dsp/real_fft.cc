#include "dsp/real_fft.h"

#include <cmath>
#include <utility>

namespace pyvoc::dsp {
namespace {

constexpr double kPi = 3.14159265358979323846;

// One radix-4 pass: `groups` twiddles, `stride` transforms side by side.
//   y[(4 p + j) stride + q] = w_p^j * sum_m i^(-j m) x[(p + m groups) stride + q]
void pass4(std::size_t groups, std::size_t stride, const double* w_re, const double* w_im,
           const double* x_re, const double* x_im, double* __restrict y_re,
           double* __restrict y_im) PYVOC_RT {
  const std::size_t quarter = groups * stride;
  for (std::size_t p = 0; p < groups; ++p) {
    const double r1 = w_re[p], i1 = w_im[p];
    const double r2 = w_re[groups + p], i2 = w_im[groups + p];
    const double r3 = w_re[2 * groups + p], i3 = w_im[2 * groups + p];
    const double* s_re = x_re + p * stride;
    const double* s_im = x_im + p * stride;
    double* __restrict d_re = y_re + 4 * p * stride;
    double* __restrict d_im = y_im + 4 * p * stride;
    for (std::size_t q = 0; q < stride; ++q) {
      const double a_re = s_re[q], a_im = s_im[q];
      const double b_re = s_re[q + quarter], b_im = s_im[q + quarter];
      const double c_re = s_re[q + 2 * quarter], c_im = s_im[q + 2 * quarter];
      const double e_re = s_re[q + 3 * quarter], e_im = s_im[q + 3 * quarter];
      const double sum_re = a_re + c_re, sum_im = a_im + c_im;
      const double dif_re = a_re - c_re, dif_im = a_im - c_im;
      const double odd_re = b_re + e_re, odd_im = b_im + e_im;
      const double turn_re = b_im - e_im, turn_im = e_re - b_re;  // -i (b - e)
      const double u_re = dif_re + turn_re, u_im = dif_im + turn_im;
      const double v_re = sum_re - odd_re, v_im = sum_im - odd_im;
      const double w_r = dif_re - turn_re, w_i = dif_im - turn_im;
      d_re[q] = sum_re + odd_re;
      d_im[q] = sum_im + odd_im;
      d_re[q + stride] = u_re * r1 - u_im * i1;
      d_im[q + stride] = u_re * i1 + u_im * r1;
      d_re[q + 2 * stride] = v_re * r2 - v_im * i2;
      d_im[q + 2 * stride] = v_re * i2 + v_im * r2;
      d_re[q + 3 * stride] = w_r * r3 - w_i * i3;
      d_im[q + 3 * stride] = w_r * i3 + w_i * r3;
    }
  }
}

// The last pass when the size is no power of four: two halves, no twiddles.
void pass2(std::size_t stride, const double* x_re, const double* x_im, double* __restrict y_re,
           double* __restrict y_im) PYVOC_RT {
  for (std::size_t q = 0; q < stride; ++q) {
    const double a_re = x_re[q], a_im = x_im[q];
    const double b_re = x_re[q + stride], b_im = x_im[q + stride];
    y_re[q] = a_re + b_re;
    y_im[q] = a_im + b_im;
    y_re[q + stride] = a_re - b_re;
    y_im[q + stride] = a_im - b_im;
  }
}

}  // namespace

RealFft::RealFft(std::size_t n)
    : half_(n / 2), a_re_(half_), a_im_(half_), b_re_(half_), b_im_(half_) {
  std::size_t length = half_, stride = 1;
  while (length > 1) {
    Pass pass;
    pass.radix = length % 4 == 0 ? 4 : 2;
    pass.groups = length / pass.radix;
    pass.stride = stride;
    for (std::size_t j = 1; j < pass.radix; ++j) {
      for (std::size_t p = 0; p < pass.groups; ++p) {
        const double angle =
            -2.0 * kPi * static_cast<double>(j * p % length) / static_cast<double>(length);
        pass.re.push_back(std::cos(angle));
        pass.im.push_back(std::sin(angle));
      }
    }
    length /= pass.radix;
    stride *= pass.radix;
    passes_.push_back(std::move(pass));
  }
  for (std::size_t k = 0; k <= half_ / 2; ++k) {
    const double angle = -kPi * static_cast<double>(k) / static_cast<double>(half_);
    split_re_.push_back(std::cos(angle));
    split_im_.push_back(std::sin(angle));
  }
}

void RealFft::transform() PYVOC_RT {
  for (const Pass& pass : passes_) {
    if (pass.radix == 4) {
      pass4(pass.groups, pass.stride, pass.re.data(), pass.im.data(), a_re_.data(), a_im_.data(),
            b_re_.data(), b_im_.data());
    } else {
      pass2(pass.stride, a_re_.data(), a_im_.data(), b_re_.data(), b_im_.data());
    }
    std::swap(a_re_, b_re_);
    std::swap(a_im_, b_im_);
  }
}

template <typename Emit>
void RealFft::transform_real(const double* x, Emit emit) PYVOC_RT {
  for (std::size_t i = 0; i < half_; ++i) {
    a_re_[i] = x[2 * i];
    a_im_[i] = x[2 * i + 1];
  }
  transform();
  const double *re = a_re_.data(), *im = a_im_.data();
  emit(0, re[0] + im[0], 0.0);
  emit(half_, re[0] - im[0], 0.0);
  // X[k] = E + w^k O with E, O the transforms of the even and odd samples; X[half - k] = conj(E -
  // w^k O).
  for (std::size_t k = 1; k <= half_ / 2; ++k) {
    const std::size_t m = half_ - k;
    const double e_re = 0.5 * (re[k] + re[m]), e_im = 0.5 * (im[k] - im[m]);
    const double o_re = 0.5 * (im[k] + im[m]), o_im = 0.5 * (re[m] - re[k]);
    const double t_re = o_re * split_re_[k] - o_im * split_im_[k];
    const double t_im = o_re * split_im_[k] + o_im * split_re_[k];
    emit(k, e_re + t_re, e_im + t_im);
    emit(m, e_re - t_re, t_im - e_im);
  }
}

void RealFft::power(const double* x, double* out) PYVOC_RT {
  transform_real(x, [out](std::size_t k, double re, double im) { out[k] = re * re + im * im; });
}

void RealFft::forward(const double* x, double* re, double* im) PYVOC_RT {
  transform_real(x, [re, im](std::size_t k, double r, double i) {
    re[k] = r;
    im[k] = i;
  });
}

void RealFft::inverse(const double* re, const double* im, double* x) PYVOC_RT {
  // E + i O is the transform of x[2 i] + i x[2 i + 1]. Conjugates make the forward passes go back.
  const double scale = 1.0 / static_cast<double>(half_);
  a_re_[0] = 0.5 * scale * (re[0] + re[half_]);
  a_im_[0] = -0.5 * scale * (re[0] - re[half_]);
  for (std::size_t k = 1; k <= half_ / 2; ++k) {
    const std::size_t m = half_ - k;
    const double e_re = 0.5 * scale * (re[k] + re[m]), e_im = 0.5 * scale * (im[k] - im[m]);
    const double t_re = 0.5 * scale * (re[k] - re[m]), t_im = 0.5 * scale * (im[k] + im[m]);
    const double o_re = t_re * split_re_[k] + t_im * split_im_[k];
    const double o_im = t_im * split_re_[k] - t_re * split_im_[k];
    a_re_[k] = e_re - o_im;
    a_im_[k] = -(e_im + o_re);
    a_re_[m] = e_re + o_im;
    a_im_[m] = -(o_re - e_im);
  }
  transform();
  for (std::size_t i = 0; i < half_; ++i) {
    x[2 * i] = a_re_[i];
    x[2 * i + 1] = -a_im_[i];
  }
}

}  // namespace pyvoc::dsp
