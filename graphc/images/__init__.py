"""Images: from files, by Pillow (the extra `graphc[images]`), to batches for `fit`. NumPy does the rest.

`pillow` opens files safely, `pictures` makes arrays of them and back, `folders` lists the files of a folder
with their labels, `batches` reads ahead in a thread, `folder_dataset` is `image_dataset_from_directory`.
`affine` moves pixels, `augmentation` draws random changes, `image_generator` is `ImageDataGenerator`, and
`flows` the batches that it gives.
"""
