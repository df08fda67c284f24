"""Small DICOM files made here, of one or more frames."""

import io

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

SECRET = "Lovelace^Ada"


def dicom(pixels, photometric="MONOCHROME2", bits=None, frames=None, syntax=ExplicitVRLittleEndian, **header):
    """A file of pixels, (frames,) rows, columns(, 3), with more of a header; a patient's name is in it."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.PatientName = SECRET
    shape = pixels.shape[1:] if frames else pixels.shape
    data.Rows, data.Columns = shape[:2]
    data.SamplesPerPixel = 3 if len(shape) == 3 else 1
    if data.SamplesPerPixel == 3:
        data.PlanarConfiguration = 0
    if frames:
        data.NumberOfFrames = frames
    data.PhotometricInterpretation = photometric
    data.BitsAllocated = 8 * pixels.dtype.itemsize
    data.BitsStored = bits or data.BitsAllocated
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in header.items():
        setattr(data, name, value)
    data.PixelData = pixels.tobytes()
    data["PixelData"].VR = "OB" if data.BitsAllocated == 8 else "OW"
    written = io.BytesIO()
    data.save_as(written, enforce_file_format=True)
    return written.getvalue()


def item(**header):
    """A dataset within a sequence."""
    found = Dataset()
    for name, value in header.items():
        setattr(found, name, value)
    return found


def ramp(dtype=np.uint16, step=1):
    """0 to 15 times `step`, four by four."""
    return (np.arange(16).reshape(4, 4) * step).astype(dtype)
